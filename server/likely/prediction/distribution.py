"""Next-token distributions, whole or in part, and what one of them says of a token."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likely.prediction.question import EVERY, Distribution
from likely.text.escaping import line
from likely.text.vocabulary import Ids

BITS_PER_NAT = 1 / math.log(2)

_BLOCK = 64
"""Likeliest tokens looked at together where only a few of them are wanted."""


class Dense:
    """A distribution of which every token's probability is known."""

    __slots__ = ("_logs",)

    unknown_mass = 0.0
    most_unknown = -math.inf

    def __init__(self, log_probabilities: NDArray[np.float32]) -> None:
        """Keep a row, natural log, shape (vocabulary size,); it must not change any more."""
        self._logs = log_probabilities

    @property
    def entropy(self) -> float:
        """See `Distribution`."""
        return _entropy(self._logs)

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return self._logs.nbytes

    def log_probability(self, token: int) -> float:
        """See `Distribution`."""
        return float(self._logs[token])

    def log_probabilities(self, ids: Ids | slice = EVERY) -> NDArray[np.float32]:
        """See `Distribution`."""
        return self._logs[ids]

    def top(self, count: int) -> list[int]:
        """See `Distribution`."""
        return most_likely(self._logs, count)

    def rank(self, token: int) -> int:
        """See `Distribution`."""
        return 1 + int(np.count_nonzero(self._logs > self._logs[token]))


class Sparse:
    """A distribution of which only the likeliest tokens' probabilities are known."""

    def __init__(self, log_probabilities: Mapping[int, float], vocabulary_size: int) -> None:
        """Keep the natural-log probabilities of the likeliest tokens, by id."""
        ids = np.array(sorted(log_probabilities), dtype=np.int64)
        self._ids = ids
        self._logs = np.array([log_probabilities[int(i)] for i in ids], dtype=np.float32)
        self._vocabulary_size = vocabulary_size

    @cached_property
    def unknown_mass(self) -> float:
        """See `Distribution`."""
        if len(self._ids) == self._vocabulary_size:
            return 0.0
        return max(0.0, 1.0 - math.fsum(np.exp(self._logs.astype(np.float64)).tolist()))

    @cached_property
    def most_unknown(self) -> float:
        """See `Distribution`."""
        if self.unknown_mass == 0.0:
            return -math.inf
        least = float(self._logs.min()) if len(self._logs) else 0.0
        return min(least, math.log(self.unknown_mass))

    @property
    def entropy(self) -> float:
        """See `Distribution`: the unknown mass counted as if one token had all of it."""
        mass = self.unknown_mass
        unknown = -mass * math.log(mass) * BITS_PER_NAT if mass > 0 else 0.0
        return _entropy(self._logs) + unknown

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return self._ids.nbytes + self._logs.nbytes

    def log_probability(self, token: int) -> float:
        """See `Distribution`."""
        place = self._place(token)
        return -math.inf if place is None else float(self._logs[place])

    def log_probabilities(self, ids: Ids | slice = EVERY) -> NDArray[np.float32]:
        """See `Distribution`."""
        row = np.full(self._vocabulary_size, -np.inf, dtype=np.float32)
        row[self._ids] = self._logs
        return row[ids]

    def top(self, count: int) -> list[int]:
        """See `Distribution`."""
        return [int(i) for i in self._ids[most_likely(self._logs, count)]]

    def rank(self, token: int) -> int:
        """See `Distribution`."""
        place = self._place(token)
        if place is None:
            return 1 + len(self._ids)
        return 1 + int(np.count_nonzero(self._logs > self._logs[place]))

    def _place(self, token: int) -> int | None:
        """Where `token` is among the known ones."""
        place = int(np.searchsorted(self._ids, token))
        return place if place < len(self._ids) and self._ids[place] == token else None


@dataclass(frozen=True, slots=True)
class TokenScore:
    """What the model thought of one token given everything before it.

    `surprisal` and `entropy` in bits; `rank` is 1 + the number of tokens with a larger logit.
    `bound`: the engine did not tell this token's probability; it is at most the one given here,
    its rank at least.
    """

    id: int
    probability: float
    logprob: float
    rank: int
    entropy: float
    bound: bool = False

    @property
    def surprisal(self) -> float:
        """-log2 p, in bits."""
        return -self.logprob * BITS_PER_NAT


def score_token(distribution: Distribution, token: int) -> TokenScore:
    """Score `token` under a distribution."""
    logprob = distribution.log_probability(token)
    bound = logprob == -math.inf and distribution.unknown_mass > 0
    if bound:
        logprob = distribution.most_unknown
    return TokenScore(
        id=token,
        probability=math.exp(logprob),
        logprob=logprob,
        rank=distribution.rank(token),
        entropy=distribution.entropy,
        bound=bound,
    )


def ranked(distribution: Distribution) -> Iterator[int]:
    """The known tokens, likeliest first, ties by id."""
    first, known = 0, _BLOCK
    while block := distribution.top(known)[first:]:
        yield from block
        # Whoever looks far down the list shall not sort it a thousand times.
        first, known = known, 2 * known


def ranked_places(figures: NDArray[np.floating[Any]]) -> Iterator[int]:
    """Places in the order of their figures, largest first, ties by place."""
    first, known = 0, _BLOCK
    while first < len(figures):
        yield from most_likely(figures, known)[first:]
        first, known = known, 2 * known


def most_likely(figures: NDArray[np.floating[Any]], count: int) -> list[int]:
    """The places of the `count` largest figures, largest first, ties by place."""
    count = min(count, len(figures))
    if count == 0:
        return []
    threshold = np.partition(figures, len(figures) - count)[len(figures) - count]
    places = np.flatnonzero(figures >= threshold)
    order = np.lexsort((places, -figures[places]))
    return [int(place) for place in places[order[:count]]]


def percent(probability: float) -> str:
    """A probability as people read it: `5.98%`; small ones do not become nothing."""
    return "<0.01%" if 0 < probability < 5e-5 else f"{probability:.2%}"


def standing_before(text: str | None, show: Callable[[str], str] = line) -> str:
    """What stood before a document's text, in words; empty where the window begins later.

    `text` as `window.before_text` gives it; `show` for the surface that it is shown on.
    """
    if text is None:
        return ""
    stood = {"": "nothing", "a space": "a space"}
    return f"{stood[text] if text in stood else show(text)} before the text"


def _entropy(log_probabilities: NDArray[np.float32]) -> float:
    """-sum p log2 p over what is known, in bits."""
    logs = log_probabilities.astype(np.float64)
    probabilities = np.exp(logs)
    # 0 log 0 counts as 0; a row may hold -inf where the model rules a token out.
    terms = probabilities * np.where(probabilities > 0, logs, 0.0)
    return float(-terms.sum() * BITS_PER_NAT)
