"""Whole words: best first, up to the next boundary, as lower bounds with a residual."""

import math

import pytest

from fakes import PHRASE, ScriptedEngine
from likely.prediction.candidates import Candidate, Prediction
from likely.prediction.options import CursorOptions
from likely.prediction.words import continues_word, expand_words
from unit.tiny import GPT2, STYLES, RandomEngine, Style, answer, predict, vocabulary

TINY = Style(GPT2, "prose", 40)


def words(engine: ScriptedEngine, typed: str, k: int = 5, mode: str = "exact") -> Prediction:
    options = CursorOptions(k=k, mode="exact" if mode == "exact" else "raw", unit="word")
    return predict(engine, typed, options)


def test_a_word_of_one_token_is_worth_what_follows_it_as_a_boundary() -> None:
    engine = ScriptedEngine()
    found = words(engine, PHRASE + " ")
    first = found.candidates[0]
    own = engine.model.vocabulary
    row = engine.logs(own.encode((PHRASE + " visit").encode()))
    continues = [
        i
        for i in range(len(own))
        if own.token_bytes(i)[:1].isalnum()
        or own.token_bytes(i)[:1] in (b"_",)
        or own.token_bytes(i)[:1] >= b"\x80"
    ]
    boundary = 1 - math.fsum(math.exp(row[i]) for i in continues)
    assert first.insertion == b"visit"
    tokens = predict(engine, PHRASE + " ", CursorOptions(k=1, mode="exact"))
    assert first.probability == pytest.approx(tokens.candidates[0].probability * boundary, rel=0.02)


def test_probabilities_are_in_order_and_leave_room_for_the_residual() -> None:
    engine = RandomEngine(vocabulary(TINY))
    for typed in ("This weekend", "They", "The  sp", "On two li"):
        for mode in ("raw", "exact"):
            found = words(engine, typed, 8, mode)
            probabilities = [candidate.probability for candidate in found.candidates]
            assert probabilities == sorted(probabilities, reverse=True)
            assert math.fsum(probabilities) <= 1 + 1e-6
            assert 0 <= found.residual <= 1 + 1e-6
            assert found.rest == pytest.approx(1 - math.fsum(probabilities))


def test_every_word_is_a_lower_bound_of_its_tokens() -> None:
    engine = RandomEngine(vocabulary(TINY))
    prefix = engine.model.vocabulary.encode(b"This weekend I plan")
    begun = _tokens(engine, "This weekend I plan")
    found, _ = answer(engine, expand_words(engine.model.vocabulary, prefix, begun, 6))
    for candidate in found:
        assert candidate.logprob <= engine.log_probability(candidate.ids, prefix) + 1e-6
        assert engine.model.vocabulary.decode(candidate.ids) == candidate.insertion


@pytest.mark.parametrize(
    ("insertion", "stays"),
    [(b".", True), (b"\n", True), (b" (", True), (b"\xe4\xb8\xad", True), (b" the", False)],
)
def test_punctuation_line_ends_and_scripts_without_spaces_stay_tokens(
    insertion: bytes, stays: bool
) -> None:
    engine = RandomEngine(vocabulary(TINY))
    prefix = engine.model.vocabulary.encode(b"This")
    token = Candidate(insertion, engine.model.vocabulary.encode(insertion), 0.5, math.log(0.5))
    (found, *_), _ = answer(engine, expand_words(engine.model.vocabulary, prefix, [token], 1))
    assert (found == token) is stays


@pytest.mark.parametrize("style", STYLES)
def test_no_word_ends_inside_a_character(style: Style) -> None:
    engine = RandomEngine(vocabulary(style))
    for typed in ("This weekend", "caf", "\u6f22", " "):
        for mode in ("raw", "exact"):
            for candidate in words(engine, typed, 40, mode).candidates:
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


def _tokens(engine: ScriptedEngine, typed: str) -> tuple[Candidate, ...]:
    options = CursorOptions(k=12, mode="raw")
    return predict(engine, typed, options).candidates
