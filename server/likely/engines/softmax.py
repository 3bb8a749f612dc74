"""Raw logits -> next-token distributions and scores, in the threads that an engine may use."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likely.prediction.distribution import BITS_PER_NAT, Dense, most_likely
from likely.prediction.question import Distribution, Passage, Scores

ROWS_TOGETHER = 64
"""Rows of logits that are in memory at a time while a passage is scored."""


def next_token_distributions(logits: Tensor) -> list[Distribution]:
    """The softmax of each row of raw logits; shape (n, vocabulary size)."""
    rows = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
    distributions: list[Distribution] = []
    for row in rows:
        # A copy, so that no row keeps its whole batch alive.
        own = row.copy() if len(rows) > 1 else row
        own.setflags(write=False)
        distributions.append(Dense(own))
    return distributions


class Scorer:
    """Scores the tokens of a passage from rows of logits that come a few at a time, in order.

    The first row belongs to the first scored token; one more than there are of them follows.
    """

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._sets = torch.from_numpy(passage.sets).t()
        self._parts: list[Scores] = []
        self._next = passage.start

    def add(self, logits: Tensor) -> None:
        """Take the next rows; shape (n, vocabulary size)."""
        logs = torch.log_softmax(logits.float(), dim=-1).cpu()
        probabilities = logs.exp()
        tokens = torch.tensor(self._passage.tokens[self._next : self._next + len(logs)])
        scored = logs[: len(tokens)]
        own = scored.gather(1, tokens[:, None])
        terms = torch.where(scored > -math.inf, probabilities[: len(tokens)] * scored, 0.0)
        ids, top = self._likeliest(scored)
        self._next += len(logs)
        self._parts.append(
            Scores(
                logprobs=own[:, 0].numpy(),
                ranks=1 + (scored > own).sum(1).numpy(),
                entropies=-terms.sum(1, dtype=torch.float64).numpy() * BITS_PER_NAT,
                top_ids=ids.numpy(),
                top_logprobs=top.numpy(),
                set_probabilities=(probabilities @ self._sets).numpy(),
                unknown_mass=np.zeros(len(tokens), dtype=np.float32),
            )
        )

    def scores(self) -> Scores:
        """All that was scored."""

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in self._parts])

        return Scores(**{name: joined(name) for name in Scores.__slots__})

    def _likeliest(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        """The ids of the likeliest tokens of each row, ties by id, and their log-probabilities."""
        count = min(self._passage.top, logs.shape[1])
        values, ids = logs.topk(count, dim=1)
        if count == 0:
            return ids, values
        # Which of several equal ones `topk` takes, and in which order, is left open.
        tied = (values.diff(dim=1) == 0).any(1) | ((logs >= values[:, -1:]).sum(1) > count)
        for place in torch.nonzero(tied).flatten().tolist():
            ids[place] = torch.tensor(most_likely(logs[place].numpy(), count))
            values[place] = logs[place, ids[place]]
        return ids, values


def use_threads(count: int | None) -> None:
    """Have torch use `count` threads in this one, each of which has a count of its own."""
    if count and torch.get_num_threads() != count:
        torch.set_num_threads(count)
