"""Which byte may follow the cursor: a guess for look-ahead."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from likely.prediction.cursor import Weighed
from likely.text.vocabulary import Ids, Vocabulary


def next_bytes(weighed: Weighed) -> NDArray[np.float64]:
    """Estimate the probability of every byte to be the next one; shape (256,).

    Of what follows a token that ends at the cursor, only the boundaries that mattered to the
    list count, and tokens that could not canonically follow count as well.
    """
    covered, distribution = weighed.covered, weighed.distribution
    shares = np.zeros(_NONE + 1)
    for cover, weights in distribution.overhanging:
        bytes_there = _bytes_at(covered.vocabulary, cover.overhang)[cover.tokens]
        probabilities = np.exp(weights - distribution.log_total)
        shares += np.bincount(bytes_there, probabilities, _NONE + 1)
    for boundary, log_weight in zip(
        covered.boundaries, distribution.boundary_log_weights, strict=True
    ):
        row = weighed.rows.get(boundary)
        if row is not None and log_weight > _LEAST:
            probabilities = np.exp(row.log_probabilities() + np.float32(log_weight))
            shares += np.bincount(_bytes_at(covered.vocabulary, 0), probabilities, _NONE + 1)
    return shares[:_NONE]


_NONE = 256
_LEAST = -7.0
"""The log of the smallest share of a boundary that is looked behind."""


@lru_cache(maxsize=64)
def _bytes_at(vocabulary: Vocabulary, place: int) -> Ids:
    """The byte at one place of each token, `_NONE` where it is shorter; shape (vocabulary,)."""
    joined, starts = _texts(vocabulary)
    positions = starts[:-1] + place
    return np.where(positions < starts[1:], joined.take(positions, mode="clip"), _NONE)


@lru_cache(maxsize=4)
def _texts(vocabulary: Vocabulary) -> tuple[Ids, Ids]:
    """The bytes of all tokens one after another; where each begins, and the end."""
    texts = [vocabulary.token_bytes(token) for token in range(len(vocabulary))]
    joined = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64)
    return joined, np.cumsum([0, *map(len, texts)])
