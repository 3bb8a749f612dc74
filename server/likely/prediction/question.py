"""Questions: prediction that yields what it needs and never calls a model.

A question is a generator. It yields a `Need`, the token prefixes whose next-token distributions
it cannot go on without, and receives those distributions in the same order; or a `Passage` whose
tokens are to be scored, and receives the scores; and it returns its answer. Who computes them,
whether they are at hand and how long they take is for its driver to know
(`likely.engines.engine`). This is the sans-I/O pattern of h11 and wsproto, applied to inference.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """Tokens that are there, and what of them a question goes on with: `Scores`.

    Those from `start` (at least 1) on are scored, each given all of `tokens` before it; `top` is
    how many of the likeliest tokens in the place of each are wanted. `sets` are sets of ids, as
    rows of zeros and ones, shape (number of sets, vocabulary size), whose probability as a whole
    is wanted, also after the last token.
    """

    tokens: TokenIds
    start: int
    top: int
    sets: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the model thought of the n tokens of a passage that are scored.

    `logprobs` (natural), `ranks` and `entropies` (bits) have shape (n,), see `Distribution`;
    `top_ids` and `top_logprobs` (n, top), likeliest first; `set_probabilities` (n + 1, number of
    sets), in the place of each token and after the last. `unknown_mass`: see `Distribution`;
    shape (n,).
    """

    logprobs: NDArray[np.float32]
    ranks: NDArray[np.int64]
    entropies: NDArray[np.float64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float32]
    set_probabilities: NDArray[np.float32]
    unknown_mass: NDArray[np.float32]


# What is sent answers what was yielded: distributions a `Need`, `Scores` a `Passage`.
Question = Generator[Need | Passage, Any, T]


def distributions_after(
    prefixes: Sequence[TokenIds], riders: Iterable[TokenIds] = ()
) -> Question[Sequence[Distribution]]:
    """The distributions after prefixes, in their order; see `Need`."""
    distributions: Sequence[Distribution] = yield Need(prefixes, riders)
    return distributions


def distribution_after(prefix: TokenIds) -> Question[Distribution]:
    """The distribution after one prefix."""
    (distribution,) = yield from distributions_after((prefix,))
    return distribution


def scores_of(passage: Passage) -> Question[Scores]:
    """The scores of a passage."""
    scores: Scores = yield passage
    return scores


class Agenda(Protocol):
    """Questions worth answering ahead of time; the answer to one may bring others."""

    def next(self) -> Question[None] | None:
        """The most useful question that has not been given out, None where there is none now."""
        ...
