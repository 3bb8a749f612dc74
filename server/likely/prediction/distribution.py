"""Probabilities, surprisal, rank and entropy of one next-token distribution."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likely.prediction.protocol import LogProbabilities
from likely.text.escaping import line
from likely.text.vocabulary import TokenIds

BITS_PER_NAT = 1 / math.log(2)


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
class TokenScore:
    """What the model thought of one token given everything before it.

    `surprisal` and `entropy` in bits; `rank` is 1 + the number of tokens with a larger logit.
    """

    id: int
    probability: float
    logprob: float
    rank: int
    entropy: float

    @property
    def surprisal(self) -> float:
        """-log2 p, in bits."""
        return -self.logprob * BITS_PER_NAT


def percent(probability: float) -> str:
    """A probability as people read it: `5.98%`; small ones do not become nothing."""
    return "<0.01%" if 0 < probability < 5e-5 else f"{probability:.2%}"


def standing_before(text: str | None, show: Callable[[str], str] = line) -> str:
    """What stood before a document's text, in words; empty where the window begins later.

    `text` as `context.before_text` gives it; `show` for the surface that it is shown on.
    """
    if text is None:
        return ""
    stood = {"": "nothing", "a space": "a space"}
    return f"{stood[text] if text in stood else show(text)} before the text"


def entropy(row: LogProbabilities) -> float:
    """Entropy of the whole next-token distribution, in bits."""
    logs = row.astype(np.float64)
    probabilities = np.exp(logs)
    # 0 log 0 counts as 0; a row may hold -inf where the model rules a token out.
    terms = probabilities * np.where(probabilities > 0, logs, 0.0)
    return float(-terms.sum() * BITS_PER_NAT)


def score_token(row: LogProbabilities, token: int) -> TokenScore:
    """Score `token` under the distribution `row`."""
    logprob = float(row[token])
    return TokenScore(
        id=token,
        probability=math.exp(logprob),
        logprob=logprob,
        rank=1 + int(np.count_nonzero(row > row[token])),
        entropy=entropy(row),
    )


def most_likely(row: NDArray[np.floating[Any]], count: int) -> list[int]:
    """The ids of the `count` most likely tokens, most likely first, ties by id."""
    count = min(count, len(row))
    if count == 0:
        return []
    threshold = np.partition(row, len(row) - count)[len(row) - count]
    ids = np.flatnonzero(row >= threshold)
    order = np.lexsort((ids, -row[ids]))
    return [int(i) for i in ids[order[:count]]]
