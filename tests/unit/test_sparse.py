"""Engines that tell the likeliest tokens only: every figure is a bound, and says so."""

import math
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import PHRASE, ScriptedEngine, SparseEngine
from likely.prediction.candidates import Prediction
from likely.prediction.distribution import score_token
from likely.prediction.options import CursorOptions, Mode, Unit
from likely.prediction.scoring import read_token
from likely.prediction.window import TextBefore
from unit.tiny import STYLES, RandomEngine, Style, answer, predict, texts, vocabulary

ALL = 10_000
ROUNDING = 1e-6
styles = st.sampled_from(STYLES)
numbers = st.sampled_from([1, 4, 20, 100])
modes: st.SearchStrategy[Mode] = st.sampled_from(["raw", "exact"])
units: st.SearchStrategy[Unit] = st.sampled_from(["token", "word"])
PREFIXES = [(1,), (5, 9), (300, 2, 7)]


@cache
def whole(style: Style) -> RandomEngine:
    return RandomEngine(vocabulary(style))


def figures(made: Prediction) -> dict[bytes, float]:
    return {candidate.insertion: candidate.probability for candidate in made.candidates}


# One distribution.


@pytest.mark.parametrize("told", [0, 1, 5, 100, ALL])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_is_told_is_known_and_the_others_are_bounded(
    told: int, prefix: tuple[int, ...]
) -> None:
    true = whole(STYLES[0]).row(prefix)
    row = SparseEngine(whole(STYLES[0]), told).row(prefix)
    known = true.top(told)
    size = len(vocabulary(STYLES[0]))
    left = 1 - math.fsum(math.exp(true.log_probability(token)) for token in known)
    assert row.unknown_mass == pytest.approx(left if told < size else 0.0, abs=ROUNDING)
    assert row.top(told) == known
    assert row.top(3) == known[:3]
    assert row.entropy <= true.entropy + ROUNDING
    assert row.size <= true.size * 3
    logs = row.log_probabilities()
    assert logs.shape == (size,)
    for token in range(size):
        assert row.log_probability(token) == logs[token]
        if token in known:
            assert logs[token] == true.log_probability(token)
            assert row.rank(token) == true.rank(token)
        else:
            assert logs[token] == -math.inf
            assert true.log_probability(token) <= row.most_unknown + ROUNDING
            assert row.rank(token) == told + 1 <= true.rank(token)


@pytest.mark.parametrize("told", [1, 5, 100])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_tokens_score_is_the_true_one_or_a_bound_that_says_so(
    told: int, prefix: tuple[int, ...]
) -> None:
    true_row = whole(STYLES[0]).row(prefix)
    row = SparseEngine(whole(STYLES[0]), told).row(prefix)
    for token in range(len(vocabulary(STYLES[0]))):
        score, true = score_token(row, token), score_token(true_row, token)
        assert score.bound == (token not in true_row.top(told))
        assert not true.bound
        assert score.probability >= true.probability - ROUNDING
        assert score.surprisal <= true.surprisal + ROUNDING
        assert score.rank <= true.rank
        assert score.entropy <= true.entropy + ROUNDING
        if not score.bound:
            assert (score.probability, score.rank) == (true.probability, true.rank)


def test_with_every_token_told_a_score_is_no_bound() -> None:
    true = whole(STYLES[0]).row((1,))
    row = SparseEngine(whole(STYLES[0]), ALL).row((1,))
    for token in range(len(vocabulary(STYLES[0]))):
        assert score_token(row, token) == score_token(true, token)


# Predictions.


@settings(max_examples=40, deadline=None)
@given(styles, texts, numbers)
def test_a_raw_prediction_knows_what_it_was_told(style: Style, text: str, told: int) -> None:
    options = CursorOptions(k=10, document_start="bos", whole_characters=False)
    made = predict(SparseEngine(whole(style), told), text, options)
    true = predict(whole(style), text, options)
    assert len(made.candidates) <= told
    assert made.candidates == true.candidates[: len(made.candidates)]
    assert made.rest >= true.rest - ROUNDING
    assert made.unknown_mass > 0
    assert true.unknown_mass == 0
    assert made.entropy is not None
    assert true.entropy is not None
    assert made.entropy <= true.entropy + ROUNDING


@settings(max_examples=40, deadline=None)
@given(styles, texts, numbers)
def test_an_exact_prediction_is_nowhere_above_the_true_one(
    style: Style, text: str, told: int
) -> None:
    options = CursorOptions(k=10, mode="exact", document_start="bos")
    made = predict(SparseEngine(whole(style), told), text, options)
    everything = predict(whole(style), text, replace(options, k=ALL))
    true = figures(everything)
    for insertion, probability in figures(made).items():
        # What was negligible to the true one may be all that is known of this one.
        assert probability <= true.get(insertion, 0.0) + 2e-4
    assert math.fsum(figures(made).values()) + made.rest == pytest.approx(1)
    assert 0 < made.unknown_mass <= 1
    assert made.fragment_probability is not None
    assert everything.fragment_probability is not None
    # Conditioned on a fragment that is at least as likely as it truly is.
    assert made.fragment_probability >= everything.fragment_probability * (1 - 2e-4)


@settings(max_examples=40, deadline=None)
@given(styles, texts, modes, units)
def test_with_every_token_told_a_prediction_is_the_true_one(
    style: Style, text: str, mode: Mode, unit: Unit
) -> None:
    options = CursorOptions(k=10, mode=mode, unit=unit, document_start="bos")
    made = predict(SparseEngine(whole(style), ALL), text, options)
    assert made == predict(whole(style), text, options)
    assert made.unknown_mass == 0


@pytest.mark.parametrize("told", [20, 100, 300])
def test_a_word_is_nowhere_above_the_true_one(told: int) -> None:
    modes: tuple[Mode, ...] = ("raw", "exact")
    compared = 0
    for style, typed, mode in product(STYLES[:3], ("This weekend ", "They", "On two li"), modes):
        options = CursorOptions(k=12, mode=mode, unit="word", document_start="bos")
        made = predict(SparseEngine(whole(style), told), typed, options)
        listed = predict(whole(style), typed, replace(options, k=60)).candidates
        true = {(word.insertion, word.ids): word.probability for word in listed}
        for word in made.candidates:
            if (word.insertion, word.ids) in true:
                compared += 1
                assert word.probability <= true[word.insertion, word.ids] + 2e-4
        assert made.unknown_mass > 0
        assert made.residual >= 0
        assert math.fsum(figures(made).values()) <= 1 + ROUNDING
    assert compared > 40


def test_what_an_engine_does_not_tell_is_told_with_the_answer() -> None:
    engine = ScriptedEngine()
    options = CursorOptions(k=3, mode="exact")
    made = predict(SparseEngine(engine, 4), PHRASE + " v", options)
    true = predict(engine, PHRASE + " v", options)
    assert made.candidates[0].insertion == b"isit"
    # 0.4 of which the row tells 0.75: the other 0.25 might all begin so.
    assert made.candidates[0].probability == pytest.approx(0.4 / (0.4 + 0.25))
    assert made.candidates[0].probability < true.candidates[0].probability
    assert made.unknown_mass == pytest.approx(0.25 / (0.4 + 0.25))


def test_a_reading_says_which_figures_are_bounds() -> None:
    engine = ScriptedEngine()
    text, after = TextBefore(PHRASE.encode(), 0), b" attend"
    question = read_token(engine.model, text, after, 10, "none")
    true = answer(engine, read_token(engine.model, text, after, 10, "none"))
    made = answer(SparseEngine(engine, 3), question)
    assert made is not None
    assert true is not None
    assert made.score.bound
    assert not true.score.bound
    assert made.score.probability >= true.score.probability
    assert made.score.rank == 4 <= true.score.rank
    assert [c.ids for c in made.expected] == [c.ids for c in true.expected[:3]]
    known = answer(SparseEngine(engine, 3), read_token(engine.model, text, b" visit", 10, "none"))
    assert known is not None
    assert not known.score.bound
