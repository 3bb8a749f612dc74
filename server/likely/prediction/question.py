"""Questions: prediction that yields what it needs and never calls a model.

A question is a generator. It yields a `Need`, the token prefixes whose next-token distributions
it cannot go on without, receives those distributions in the same order, and returns its answer.
Who computes them, whether they are at hand and how long they take is for its driver to know
(`likely.engines.engine`). This is the sans-I/O pattern of h11 and wsproto, applied to inference.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from likely.text.vocabulary import Ids, TokenIds, Vocabulary

T = TypeVar("T")

EVERY = slice(None)
"""All ids, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class LanguageModel:
    """What is known of a causal language model without running it.

    `name` as the user gave it; `max_tokens` is the longest sequence that it can be asked about;
    `separator` the id that stood between documents in training, None where there is none.
    """

    name: str
    vocabulary: Vocabulary
    max_tokens: int
    separator: int | None


class Distribution(Protocol):
    """The distribution of the next token after one prefix.

    An engine that tells the likeliest tokens only leaves the others unknown: nothing is then
    known of one of them but that it is no likelier than `most_unknown`, and that all of them
    together have `unknown_mass`. Figures made of such a distribution are bounds.
    """

    @property
    def unknown_mass(self) -> float:
        """The probability of all tokens that are not known each by itself; 0.0 where all are."""
        ...

    @property
    def most_unknown(self) -> float:
        """What the natural-log probability of an unknown token is at most; -inf without any."""
        ...

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        ...

    @property
    def entropy(self) -> float:
        """In bits; a lower bound where tokens are unknown."""
        ...

    def log_probability(self, token: int) -> float:
        """The natural-log probability of one token; -inf for an unknown one."""
        ...

    def log_probabilities(self, ids: Ids | slice = EVERY) -> NDArray[np.float32]:
        """Natural-log probabilities, -inf for unknown tokens; shape (number of ids,)."""
        ...

    def top(self, count: int) -> list[int]:
        """The ids of the `count` likeliest known tokens, likeliest first, ties by id."""
        ...

    def rank(self, token: int) -> int:
        """1 + the number of tokens with a larger logit; a lower bound for an unknown token."""
        ...


@dataclass(frozen=True, slots=True)
class Need:
    """Token prefixes (none of them empty) whose distributions a question goes on with.

    `riders` are prefixes worth having if a pass is made anyway, the most useful first; they are
    worked out only then, so they may be a generator.
    """

    prefixes: Sequence[TokenIds]
    riders: Iterable[TokenIds] = ()


Question = Generator[Need, Sequence[Distribution], T]




def one(prefix: TokenIds) -> Question[Distribution]:
    """The distribution after one prefix."""
    (distribution,) = yield Need((prefix,))
    return distribution


class Agenda(Protocol):
    """Questions worth answering ahead of time; the answer to one may bring others."""

    def next(self) -> Question[None] | None:
        """The most useful question that has not been given out, None where there is none now."""
        ...
