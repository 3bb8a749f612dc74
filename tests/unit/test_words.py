"""Whole words: best first, up to the next boundary, as lower bounds with a residual."""

import math

import pytest

from fakes import PHRASE, FakeModel
from likely.prediction.cursor import CursorOptions, Prediction, predict_at_cursor
from likely.prediction.distribution import Candidate
from likely.prediction.window import TextBefore
from likely.prediction.words import continues_word, expand_words
from unit.tiny import GPT2, STYLES, RandomModel, Style, vocabulary

TINY = Style(GPT2, "prose", 40)


def words(
    model: FakeModel | RandomModel, typed: str, k: int = 5, mode: str = "exact"
) -> Prediction:
    options = CursorOptions(k=k, mode="exact" if mode == "exact" else "raw", unit="word")
    return predict_at_cursor(model, TextBefore(typed.encode(), 0), options)


def test_a_word_of_one_token_is_worth_what_follows_it_as_a_boundary() -> None:
    model = FakeModel()
    found = words(model, PHRASE + " ")
    first = found.candidates[0]
    (row,) = model.log_probabilities([model.vocabulary.encode((PHRASE + " visit").encode())])
    continues = [
        i
        for i in range(len(model.vocabulary))
        if model.vocabulary.token_bytes(i)[:1].isalnum()
        or model.vocabulary.token_bytes(i)[:1] in (b"_",)
        or model.vocabulary.token_bytes(i)[:1] >= b"\x80"
    ]
    boundary = 1 - math.fsum(math.exp(row[i]) for i in continues)
    assert first.insertion == b"visit"
    tokens = predict_at_cursor(
        model, TextBefore((PHRASE + " ").encode(), 0), CursorOptions(k=1, mode="exact")
    )
    assert first.probability == pytest.approx(tokens.candidates[0].probability * boundary, rel=0.02)


def test_probabilities_are_in_order_and_leave_room_for_the_residual() -> None:
    model = RandomModel(vocabulary(TINY))
    for typed in ("This weekend", "They", "The  sp", "On two li"):
        for mode in ("raw", "exact"):
            found = words(model, typed, 8, mode)
            probabilities = [candidate.probability for candidate in found.candidates]
            assert probabilities == sorted(probabilities, reverse=True)
            assert math.fsum(probabilities) <= 1 + 1e-6
            assert 0 <= found.residual <= 1 + 1e-6
            assert found.rest == pytest.approx(1 - math.fsum(probabilities))


def test_every_word_is_a_lower_bound_of_its_tokens() -> None:
    model = RandomModel(vocabulary(TINY))
    prefix = model.vocabulary.encode(b"This weekend I plan")
    found, _ = expand_words(model, prefix, _tokens(model, "This weekend I plan"), 6)
    for candidate in found:
        assert candidate.logprob <= model.log_probability(candidate.ids, prefix) + 1e-6
        assert model.vocabulary.decode(candidate.ids) == candidate.insertion


@pytest.mark.parametrize(
    ("insertion", "stays"),
    [(b".", True), (b"\n", True), (b" (", True), (b"\xe4\xb8\xad", True), (b" the", False)],
)
def test_punctuation_line_ends_and_scripts_without_spaces_stay_tokens(
    insertion: bytes, stays: bool
) -> None:
    model = RandomModel(vocabulary(TINY))
    prefix = model.vocabulary.encode(b"This")
    token = Candidate(insertion, model.vocabulary.encode(insertion), 0.5, math.log(0.5))
    (found, *_), _ = expand_words(model, prefix, [token], 1)
    assert (found == token) is stays


@pytest.mark.parametrize("style", STYLES)
def test_no_word_ends_inside_a_character(style: Style) -> None:
    model = RandomModel(vocabulary(style))
    for typed in ("This weekend", "caf", "\u6f22", " "):
        for mode in ("raw", "exact"):
            for candidate in words(model, typed, 40, mode).candidates:
                assert candidate.insertion.decode()


@pytest.mark.parametrize(
    ("token", "continues"),
    [
        (b"_", True),
        (b"x1", True),
        (b"'t", True),
        (b"\xc3", True),
        (b"\xa9s", True),
        (b" \xc3", False),
        (b"(", False),
        (b" ", False),
        (b"' ", False),
    ],
)
def test_identifiers_and_contractions_go_on(token: bytes, continues: bool) -> None:
    """In code, identifiers are words; in prose, don't is one."""
    assert continues_word(token) is continues


def _tokens(model: FakeModel, typed: str) -> tuple[Candidate, ...]:
    options = CursorOptions(k=12, mode="raw")
    return predict_at_cursor(model, TextBefore(typed.encode(), 0), options).candidates
