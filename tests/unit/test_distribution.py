"""Probabilities, surprisal, rank and entropy of one next-token distribution."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likely.prediction.candidates import Candidate
from likely.prediction.distribution import (
    Dense,
    most_likely,
    score_token,
)


def row(*probabilities: float) -> Dense:
    with np.errstate(divide="ignore"):
        return Dense(np.log(np.array(probabilities, dtype=np.float32)))


@pytest.mark.parametrize(
    ("probabilities", "bits"),
    [
        ((0.5, 0.5), 1.0),
        ((0.25, 0.25, 0.25, 0.25), 2.0),
        ((0.5, 0.25, 0.125, 0.125), 1.75),
        ((1.0,), 0.0),
        ((1.0, 0.0, 0.0), 0.0),
        ((0.5, 0.0, 0.5), 1.0),
    ],
)
def test_entropy_is_in_bits(probabilities: tuple[float, ...], bits: float) -> None:
    assert row(*probabilities).entropy == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize(
    ("token", "probability", "rank"),
    [(0, 0.125, 3), (1, 0.5, 1), (2, 0.125, 3), (3, 0.25, 2)],
)
def test_a_score_is_the_tokens_place_in_the_row(token: int, probability: float, rank: int) -> None:
    score = score_token(row(0.125, 0.5, 0.125, 0.25), token)
    assert (score.id, score.rank) == (token, rank)
    assert score.probability == pytest.approx(probability)
    assert score.logprob == pytest.approx(math.log(probability))
    assert score.entropy == pytest.approx(1.75)
    assert score.surprisal == pytest.approx(-math.log2(probability))


def test_an_impossible_token_is_infinitely_surprising() -> None:
    score = score_token(row(1.0, 0.0), 1)
    assert score.probability == 0.0
    assert score.surprisal == math.inf
    assert score.rank == 2


def test_a_candidate_tells_its_surprisal_in_bits() -> None:
    assert Candidate(b"a", (1,), 0.25, math.log(0.25)).surprisal == pytest.approx(2.0)


@given(st.lists(st.sampled_from([-9.0, -3.0, -2.5, -1.0, 0.0, -math.inf]), max_size=30), st.data())
def test_the_most_likely_come_first_and_ties_in_the_order_of_their_ids(
    figures: list[float], data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(figures) + 3))
    ordered = sorted(range(len(figures)), key=lambda place: (-figures[place], place))
    assert most_likely(np.array(figures, dtype=np.float32), count) == ordered[:count]
