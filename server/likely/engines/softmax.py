"""Logits -> next-token distributions, in the threads that an engine may use."""

import torch
from torch import Tensor

from likely.prediction.distribution import Dense
from likely.prediction.question import Distribution


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


def use_threads(count: int | None) -> None:
    """Have torch use `count` threads in this one, each of which has a count of its own."""
    if count and torch.get_num_threads() != count:
        torch.set_num_threads(count)
