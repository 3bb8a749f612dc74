"""Candidates at a cursor, and the answer that lists them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from likely.prediction.distribution import BITS_PER_NAT
from likely.text.vocabulary import TokenIds

Method = Literal["raw", "exact", "healed"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed continuation.

    `insertion` holds the bytes that would stand after the cursor; `ids` the tokens that made
    it (its cover from the last stable boundary in exact mode); `logprob` is natural.
    """

    insertion: bytes
    ids: TokenIds
    probability: float
    logprob: float

    @property
    def text(self) -> str:
        """The insertion as text; U+FFFD stands for what is only part of a character."""
        return self.insertion.decode(errors="replace")

    @property
    def surprisal(self) -> float:
        """-log2 p, in bits."""
        return -self.logprob * BITS_PER_NAT


@dataclass(frozen=True, slots=True)
class Prediction:
    """Candidates at a cursor in the order of their probability.

    `rest` is the probability mass that the candidates leave out; `fragment` the typed bytes
    that the candidates are conditioned on, `fragment_probability` the model's probability of
    them given what stands before (None in raw mode). `residual`: for words, the mass that the
    search left unexpanded, by which a word's figure may be too low. `entropy` in bits, of the
    next-token distribution (raw mode). `before_text`: see `window.before_text`. `unknown_mass`:
    what the engine did not tell; where it is not zero, the entropy and exact probabilities are
    lower bounds.
    """

    candidates: tuple[Candidate, ...]
    rest: float
    method: Method
    context_tokens: int
    fragment: bytes = b""
    fragment_probability: float | None = None
    residual: float = 0.0
    entropy: float | None = None
    before_text: str | None = ""
    unknown_mass: float = 0.0


def make_candidate(insertion: bytes, ids: TokenIds, logprob: float) -> Candidate:
    """A candidate by its natural-log probability, which rounding may have taken above zero."""
    return Candidate(insertion, ids, math.exp(min(0.0, logprob)), min(0.0, logprob))


def rest_of(candidates: Sequence[Candidate]) -> float:
    """The probability mass that `candidates` leave out."""
    return max(0.0, 1.0 - math.fsum(candidate.probability for candidate in candidates))


def merged(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates with equal bytes as one, named by the likeliest of them; likeliest first."""
    by_bytes: dict[bytes, Candidate] = {}
    for candidate in sorted(candidates, key=_order):
        first = by_bytes.get(candidate.insertion)
        if first is None:
            by_bytes[candidate.insertion] = candidate
        else:
            together = float(np.logaddexp(first.logprob, candidate.logprob))
            by_bytes[candidate.insertion] = make_candidate(first.insertion, first.ids, together)
    return sorted(by_bytes.values(), key=_order)


def _order(candidate: Candidate) -> tuple[float, TokenIds]:
    return (-candidate.logprob, candidate.ids)
