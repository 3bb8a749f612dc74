"""What can cover a cursor, and how likely each cover is.

Minimal covers: Vieira et al. 2024 (arXiv 2412.03719) and Phan et al. 2024 (arXiv 2410.09303);
canonical encodings only: Hayase et al. 2025 (arXiv 2506.14123).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from likely.prediction.candidates import Method
from likely.prediction.distribution import most_likely
from likely.prediction.question import Distribution, LanguageModel, Question, distributions_after
from likely.prediction.window import Context, stand_in
from likely.text.fragments import MAX_FRAGMENT, Cover, Fragments
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole

NEGLIGIBLE = 1e-4
"""A row whose largest possible share of the answer is smaller is not computed."""

_LONG = 96
"""Bytes; of a longer fragment only the end is weighed."""

_LIKELIEST = 6
_WORTH_A_RIDE = 0.03
_LEAST_RIDER = 1e-2
"""Riders: for how many candidates of a cover, of which share of the answer at least, and how
likely at least beside the candidate."""

Neighbours = Callable[[TokenIds, bytes, Ids], NDArray[np.bool_]]
"""Which ids may canonically follow (tokens since the base, their bytes)."""

Rows = Mapping[TokenIds, Distribution]
"""Distributions by the head after which they hold: the tokens since the covered prefix."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A cursor with everything that can cover it.

    `prefix`: the tokens whose text cannot change any more. The fragment is covered either by
    one of `covers`, whose last token overhangs the cursor, or exactly by one of `boundaries`
    (the likeliest reading first), after which any of `neighbours` may follow.
    """

    vocabulary: Vocabulary
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
                vocabulary=vocabulary,
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
        vocabulary=vocabulary,
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
    """The weighed covers of one cursor.

    `log_total` is log Z, the probability of the fragment given the prefix. `overhanging`:
    per cover, its row of log weights over `Cover.tokens`, for covers that matter.
    `boundary_log_weights`: per boundary of `Covered`, the log of the share of Z in which a
    token ends at the cursor; the next ones are distributed as the model says after it.
    `unknown_mass`: how much of Z is not known to belong to the fragment, because an engine
    told the likeliest tokens only; every share is a lower bound then. `rows`: what it was made
    of.
    """

    log_total: float
    overhanging: tuple[tuple[Cover, NDArray[np.float64]], ...]
    boundary_log_weights: tuple[float, ...]
    unknown_mass: float
    rows: Rows


def weigh_covers(covered: Covered, negligible: float = NEGLIGIBLE) -> Question[CursorDistribution]:
    """Weigh every cover: w(i, t) = log P(h_i | prefix) + log P(t | prefix, h_i).

    Heads whose probabilities together are under `negligible` times the sum so far are left
    out: what their rows could add is less than that share. Which are left out depends on
    probabilities alone.
    """
    weighing = _Weighing(covered, negligible)
    while True:
        distribution = weighing.weigh()
        if not weighing.missing:
            return distribution
        heads = list(weighing.missing)
        # What cannot be judged yet may be needed; the boundary is asked for next, nearly always.
        uncertain = [covered.prefix + head for head in (covered.boundaries[0], *weighing.unjudged)]
        rows = yield from distributions_after(
            [covered.prefix + head for head in heads],
            chain(uncertain, riders(covered, distribution)),
        )
        weighing.rows.update(zip(heads, rows, strict=True))


class _Weighing:
    """The covers of one cursor, weighed as far as rows have come.

    `missing` are the heads whose rows the next step takes; `unjudged` those of covers that may
    matter or not, depending on what is missing.
    """

    def __init__(self, covered: Covered, negligible: float) -> None:
        self.rows: dict[TokenIds, Distribution] = {}
        self.missing: dict[TokenIds, None] = {}
        self.unjudged: list[TokenIds] = []
        self._covered = covered
        self._threshold = math.log(negligible) if negligible > 0 else -math.inf
        self._weights: dict[int, tuple[NDArray[np.float64], float]] = {}
        self._unknown: dict[TokenIds, float] = {}

    def weigh(self) -> CursorDistribution:
        """The distribution over the covers whose rows are there."""
        self.missing.clear()
        self.unjudged.clear()
        self._unknown.clear()
        overhanging = []
        total = left_out = -math.inf
        boundaries = dict.fromkeys(self._covered.boundaries, -math.inf)
        for place, cover in enumerate(self._covered.covers):
            log_head = self._log_probability(cover.head, total + self._threshold)
            if log_head is None:
                self.unjudged.append(cover.head)
                continue
            together = _log_add(left_out, log_head)
            if log_head == -math.inf or together < total + self._threshold:
                left_out = together
                continue
            row = self.rows.get(cover.head)
            if row is None:
                self.missing[cover.head] = None
                continue
            weights, log_sum = self._weigh_cover(place, cover, row, log_head)
            overhanging.append((cover, weights))
            total = _log_add(total, log_sum)
            self._note_unknown(cover.head, log_head, row)
            for boundary in self._covered.boundaries:
                if cover.head == boundary[:-1]:
                    for found in np.flatnonzero(cover.tokens == boundary[-1]):
                        boundaries[boundary] = float(weights[found])
        known, unknown_mass = total, math.fsum(self._unknown.values())
        if unknown_mass > 0:
            total = _log_add(total, math.log(unknown_mass))
            unknown_mass = 1.0 - math.exp(known - total)
        return CursorDistribution(
            log_total=total,
            overhanging=tuple(overhanging),
            boundary_log_weights=tuple(weight - total for weight in boundaries.values()),
            unknown_mass=unknown_mass,
            rows=self.rows,
        )

    def _weigh_cover(
        self, place: int, cover: Cover, row: Distribution, log_head: float
    ) -> tuple[NDArray[np.float64], float]:
        """The weights of a cover and their sum, made once."""
        if place not in self._weights:
            weights = log_head + row.log_probabilities(cover.tokens).astype(np.float64)
            self._weights[place] = weights, _log_sum(weights)
        return self._weights[place]

    def _log_probability(self, head: TokenIds, least: float) -> float | None:
        """log P(head | prefix), None while a row that it takes is missing.

        Where it must come out under `least`, a bound that is under `least` too.
        """
        total = 0.0
        for place, token in enumerate(head):
            if total < least or total == -math.inf:
                break
            row = self.rows.get(head[:place])
            if row is None:
                self.missing[head[:place]] = None
                return None
            self._note_unknown(head[:place], total, row)
            total += row.log_probability(token)
        return total

    def _note_unknown(self, head: TokenIds, log_head: float, row: Distribution) -> None:
        """What is not told after a head might all belong to the fragment."""
        if row.unknown_mass > 0:
            self._unknown[head] = math.exp(log_head) * row.unknown_mass


def riders(covered: Covered, distribution: CursorDistribution) -> Iterator[TokenIds]:
    """Prefixes that typing on along the likeliest candidates will ask for.

    They make a pass little longer and spare the passes of the next keystrokes.
    """
    first = distribution.rows.get(())
    if covered.method != "exact" or first is None:
        return
    fragments = fragments_of(covered.vocabulary)
    likely = [
        (float(weights[place]), cover, int(cover.tokens[place]))
        for cover, weights in distribution.overhanging
        for place in most_likely(weights, _LIKELIEST)
        if weights[place] > distribution.log_total + math.log(_WORTH_A_RIDE)
    ]
    for weight, cover, token in sorted(likely, key=lambda item: (-item[0], item[2])):
        data = covered.vocabulary.token_bytes(token)
        word = covered.fragment[: len(covered.fragment) - cover.overhang] + data
        if not is_whole(word):
            continue
        for length in range(len(covered.fragment) + 1, len(word) + 1):
            head = fragments.heads(word, length)[0]
            # Beside the word itself, a head this unlikely will not matter.
            if first.log_probability(head[0]) >= weight + math.log(_LEAST_RIDER):
                yield covered.prefix + head


def _log_add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    larger, smaller = (one, other) if one > other else (other, one)
    if smaller == -math.inf:
        return larger
    return larger + math.log1p(math.exp(smaller - larger))


def _log_sum(weights: NDArray[np.float64]) -> float:
    largest = float(weights.max())
    if largest == -math.inf:
        return largest
    return largest + math.log(float(np.exp(weights - largest).sum()))
