"""What can cover a cursor, and how likely each cover is.

Minimal covers: Vieira et al. 2024 (arXiv 2412.03719) and Phan et al. 2024 (arXiv 2410.09303);
canonical encodings only: Hayase et al. 2025 (arXiv 2506.14123).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likely.prediction.distribution import most_likely
from likely.prediction.protocol import LanguageModel, LogProbabilities
from likely.prediction.window import Context, stand_in
from likely.text.fragments import MAX_FRAGMENT, Cover, Fragments
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole

Method = Literal["raw", "exact", "healed"]

NEGLIGIBLE = 1e-4
"""A row whose largest possible share of the answer is smaller is not computed."""

_LONG = 96
"""Bytes; of a longer fragment only the end is weighed."""

_MAX_RIDERS = 6
_WORTH_A_RIDE = 0.03
_LEAST_RIDER = 1e-2
"""Rows computed beforehand, beside one that is needed: how many at most, for candidates of
which share at least, and how likely at least beside the candidate."""

Neighbours = Callable[[TokenIds, bytes, Ids], NDArray[np.bool_]]
"""Which ids may canonically follow (tokens since the base, their bytes)."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A cursor with everything that can cover it.

    `prefix`: the tokens whose text cannot change any more. The fragment is covered either by
    one of `covers`, whose last token overhangs the cursor, or exactly by one of `boundaries`
    (the likeliest reading first), after which any of `neighbours` may follow.
    """

    context: Context
    prefix: TokenIds
    fragment: bytes
    covers: Sequence[Cover]
    boundaries: tuple[TokenIds, ...]
    neighbours: Neighbours
    method: Method


@lru_cache(maxsize=4)
def fragments_of(vocabulary: Vocabulary) -> Fragments:
    """The fragments of a vocabulary; made once, since it memoizes."""
    return Fragments(vocabulary)


def cover_cursor(model: LanguageModel, context: Context) -> Covered:
    """Find all covers of a cursor after `context`, whose text is not empty.

    Exact where the vocabulary allows; else single-token healing: the last token is taken back
    and the next one must start with its bytes.
    """
    vocabulary = model.vocabulary
    if vocabulary.exact:
        fragments = fragments_of(vocabulary)
        segments = fragments.segment(vocabulary.normalized(context.data))
        fragment = segments.fragment
        if len(fragment) <= MAX_FRAGMENT:
            if not segments.base:
                context = stand_in(model, context)

            covers = fragments.covers(fragment)
            boundaries = fragments.heads(fragment, len(fragment))
            settled: TokenIds = ()
            if len(fragment) > _LONG:
                settled = _settled(vocabulary, covers, boundaries)
            data_settled = vocabulary.decode(settled)

            def canonical(tokens: TokenIds, data: bytes, ids: Ids) -> NDArray[np.bool_]:
                return fragments.neighbours(data_settled + data, settled + tokens, ids)

            return Covered(
                context=context,
                prefix=context.head + segments.base + settled,
                fragment=fragment[len(data_settled) :],
                covers=[replace(cover, head=cover.head[len(settled) :]) for cover in covers],
                boundaries=tuple([boundary[len(settled) :] for boundary in boundaries]),
                neighbours=canonical,
                method="exact",
            )
    *base, last = vocabulary.encode(context.data)
    if not base:
        context = stand_in(model, context)
    typed = vocabulary.token_bytes(last)
    return Covered(
        context=context,
        prefix=context.head + tuple(base),
        fragment=typed,
        covers=(Cover((), vocabulary.starting_with(typed), len(typed)),),
        boundaries=((last,),),
        neighbours=lambda _tokens, _data, ids: any_neighbour((), b"", ids),
        method="healed",
    )


def _settled(
    vocabulary: Vocabulary, covers: Sequence[Cover], boundaries: Sequence[TokenIds]
) -> TokenIds:
    """The tokens, ending with a whole character, that all covers of a long fragment begin with.

    Whatever follows, they stand there, so that they need no weighing.
    """
    heads = [*(cover.head for cover in covers), *(boundary[:-1] for boundary in boundaries)]
    first, last = min(heads), max(heads)
    shared = 0
    while shared < len(first) and first[shared] == last[shared]:
        shared += 1
    while not is_whole(vocabulary.decode(first[:shared])):
        shared -= 1
    return first[:shared]


def any_neighbour(_tokens: TokenIds, _data: bytes, ids: Ids) -> NDArray[np.bool_]:
    """Where nothing is known of canonical encodings: all of them may follow."""
    return np.ones(len(ids), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class CursorDistribution:
    """The evaluated covers of one cursor.

    `log_total` is log Z, the probability of the fragment given the prefix. `overhanging`:
    per cover, its row of log weights over `Cover.tokens`, for covers that matter.
    `boundary_log_weights`: per boundary of `Covered`, the log of the share of Z in which a
    token ends at the cursor; the next ones are distributed as `model` says after it.
    """

    log_total: float
    overhanging: tuple[tuple[Cover, NDArray[np.float64]], ...]
    boundary_log_weights: tuple[float, ...]


def weigh_covers(
    model: LanguageModel, covered: Covered, negligible: float = NEGLIGIBLE
) -> CursorDistribution:
    """Weigh every cover: w(i, t) = log P(h_i | prefix) + log P(t | prefix, h_i).

    Heads whose probabilities together are under `negligible` times the sum so far are left
    out: what their rows could add is less than that share. Which are left out depends on
    probabilities alone, never on what happens to be computed already.
    """
    prefix = covered.prefix
    rows: dict[TokenIds, LogProbabilities] = {}
    while True:
        missing: dict[TokenIds, None] = {}

        def row(head: TokenIds, missing: dict[TokenIds, None] = missing) -> LogProbabilities | None:
            if head not in rows:
                if not model.knows(prefix + head):
                    missing[head] = None
                    return None
                (rows[head],) = model.log_probabilities([prefix + head])
            return rows[head]

        distribution = _weigh(covered, row, negligible)
        if not missing:
            return distribution
        # The boundary's row is asked for next, nearly always: it spares a pass of its own.
        missing[covered.boundaries[0]] = None
        heads = list(missing | dict.fromkeys(riders(model, covered, distribution)))
        fetched = model.log_probabilities([prefix + head for head in heads])
        rows.update(zip(heads, fetched, strict=True))


Row = Callable[[TokenIds], LogProbabilities | None]
"""The row after a head, None where it is not at hand; whoever gives it takes note of that."""


def _weigh(covered: Covered, row: Row, negligible: float) -> CursorDistribution:
    """Weigh the covers whose rows are at hand, asking for those that are not."""
    overhanging = []
    boundaries = dict.fromkeys(covered.boundaries, -math.inf)
    total = left_out = -math.inf
    threshold = math.log(negligible) if negligible > 0 else -math.inf
    for cover in covered.covers:
        log_head = _log_probability(row, cover.head, total + threshold)
        if log_head is not None:
            together = float(np.logaddexp(left_out, log_head))
            if together < total + threshold:
                left_out = together
                continue
        logs = row(cover.head)
        if log_head is None or logs is None:
            continue
        weights = log_head + logs[cover.tokens].astype(np.float64)
        overhanging.append((cover, weights))
        total = float(np.logaddexp(total, _log_sum(weights)))
        for boundary in covered.boundaries:
            if cover.head == boundary[:-1]:
                for place in np.flatnonzero(cover.tokens == boundary[-1]):
                    boundaries[boundary] = float(weights[place])
    shares = tuple(weight - total for weight in boundaries.values())
    return CursorDistribution(total, tuple(overhanging), shares)


def riders(
    model: LanguageModel, covered: Covered, distribution: CursorDistribution
) -> Iterator[TokenIds]:
    """Heads that typing on along the likeliest candidates will ask for.

    They ride along when a pass must be made anyway, which they make little longer, and spare
    the passes of the next keystrokes.
    """
    if covered.method != "exact":
        return
    if not model.knows(covered.prefix):
        return
    fragments = fragments_of(model.vocabulary)
    (first,) = model.log_probabilities([covered.prefix])
    likely = [
        (float(weights[place]), cover, int(cover.tokens[place]))
        for cover, weights in distribution.overhanging
        for place in most_likely(weights, _MAX_RIDERS)
        if weights[place] > distribution.log_total + math.log(_WORTH_A_RIDE)
    ]
    yielded = 0
    for weight, cover, token in sorted(likely, key=lambda item: (-item[0], item[2])):
        data = model.vocabulary.token_bytes(token)
        word = covered.fragment[: len(covered.fragment) - cover.overhang] + data
        if not is_whole(word):
            continue
        for length in range(len(covered.fragment) + 1, len(word) + 1):
            head = fragments.heads(word, length)[0]
            # Beside the word itself, a head this unlikely will not matter.
            if first[head[0]] < weight + math.log(_LEAST_RIDER):
                continue
            if model.knows(covered.prefix + head):
                continue
            yield head
            yielded += 1
            if yielded == _MAX_RIDERS:
                return


def _log_probability(row: Row, head: TokenIds, least: float) -> float | None:
    """log P(head | prefix), None while a row that it needs is missing.

    Where it must come out under `least`, a bound that is under `least` too.
    """
    total = 0.0
    for place, token in enumerate(head):
        if total < least:
            break
        logs = row(head[:place])
        if logs is None:
            return None
        total += float(logs[token])
    return total


def _log_sum(weights: NDArray[np.float64]) -> float:
    largest = float(weights.max())
    if largest == -math.inf:
        return largest
    return largest + math.log(float(np.exp(weights - largest).sum()))
