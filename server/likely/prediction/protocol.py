"""What prediction asks of a language model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likely.text.vocabulary import TokenIds, Vocabulary

LogProbabilities = NDArray[np.float32]
"""Natural-log probabilities of every next token; shape (vocabulary size,)."""


class LanguageModel(Protocol):
    """A causal language model as prediction sees it: rows of next-token log-probabilities."""

    @property
    def name(self) -> str:
        """The name to show, as the user gave it."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest sequence that the model can be asked about."""
        ...

    @property
    def separator(self) -> int | None:
        """The id that stood between documents in training, None where the model has none."""
        ...

    def log_probabilities(self, sequences: Sequence[TokenIds]) -> list[LogProbabilities]:
        """Return log softmax of the raw logits after each sequence (none may be empty).

        One row per sequence, in order; sequences that share a prefix share its computation.
        Rows are read-only. Raises whatever the poll of the caller raises when work has
        become stale; nothing computed so far is lost.
        """
        ...

    def knows(self, sequence: TokenIds) -> bool:
        """Whether the row after `sequence` is at hand, so that asking for it costs nothing."""
        ...
