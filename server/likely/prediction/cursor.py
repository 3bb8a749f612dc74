"""Candidates at a cursor, raw and exact.

Raw: P(t | tokenizer(text)), the textbook way. Exact: conditioned on the characters typed,
summed over covers (minimal covers, Vieira et al. 2024, arXiv
2412.03719, and Phan et al. 2024, arXiv 2410.09303; canonical encodings only, Hayase et al.
2025, arXiv 2506.14123).
"""

from __future__ import annotations

import codecs
import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from likely.prediction.context import (
    Context,
    DocumentStart,
    TextBefore,
    make_context,
    stand_in,
)
from likely.prediction.distribution import Candidate, entropy, most_likely
from likely.prediction.protocol import LanguageModel, LogProbabilities
from likely.prediction.words import expand_words
from likely.text.fragments import MAX_FRAGMENT, Cover, Fragments
from likely.text.vocabulary import Ids, TokenIds, Vocabulary

Mode = Literal["raw", "exact"]
Method = Literal["raw", "exact", "healed"]
Unit = Literal["token", "word"]

NEGLIGIBLE = 1e-4
"""A row whose largest possible share of the answer is smaller is not computed."""

_MAX_EXTENSIONS = 8
"""Rows spent on completing characters that tokens leave half."""

_MAX_RIDERS = 6
_WORTH_A_RIDE = 0.03
_LEAST_RIDER = 1e-2
"""Rows computed beforehand, beside one that is needed: how many at most, for candidates of
which share at least, and how likely at least beside the candidate."""

_EXTENDED_TOGETHER = 4
"""Rows per pass: four cost little more than one, since a pass mostly reads weights."""

_BLOCK = 64
"""Likeliest tokens looked at together where only a few of them are wanted."""


@dataclass(frozen=True, slots=True)
class CursorOptions:
    """What to propose at a cursor.

    `top_p` and `min_probability` cut the list, not the numbers. `whole_characters`: a raw
    token that ends inside a character is completed, or left to the rest, instead of listed as
    it is; exact candidates always are.
    """

    k: int = 10
    mode: Mode = "raw"
    unit: Unit = "token"
    top_p: float = 1.0
    min_probability: float = 0.0
    context_tokens: int = 512
    document_start: DocumentStart = "none"
    whole_characters: bool = True


@dataclass(frozen=True, slots=True)
class Prediction:
    """Candidates at a cursor in the order of their probability.

    `rest` is the probability mass that the candidates leave out; `fragment` the typed bytes
    that the candidates are conditioned on, `fragment_probability` the model's probability of
    them given what stands before (None in raw mode). `residual`: for words, the mass that the
    search left unexpanded, by which a word's figure may be too low. `entropy` in bits, of the
    next-token distribution (raw mode).
    """

    candidates: tuple[Candidate, ...]
    rest: float
    method: Method
    context_tokens: int
    fragment: bytes = b""
    fragment_probability: float | None = None
    separator_stood_in: bool = False
    residual: float = 0.0
    entropy: float | None = None


def predict_at_cursor(model: LanguageModel, text: TextBefore, options: CursorOptions) -> Prediction:
    """Propose continuations of `text`, with their probabilities."""
    context = make_context(model, text, options.context_tokens, options.document_start)
    return predict_in_context(model, context, options)[0]


def predict_in_context(
    model: LanguageModel, context: Context, options: CursorOptions
) -> tuple[Prediction, tuple[Covered, CursorDistribution] | None]:
    """Propose continuations of the text of `context`, and say what they were weighed by.

    The second is None for the textbook distribution.
    """
    if options.mode == "exact" and context.data and model.vocabulary.has_bytes:
        covered = cover_cursor(model, context)
        if covered.prefix:
            distribution = weigh_covers(model, covered)
            prediction = _answer(model, covered, distribution, options)
            return _cut(prediction, options), (covered, distribution)
        context = covered.context
    return _cut(predict_raw(model, context, options), options), None


def predict_raw(model: LanguageModel, context: Context, options: CursorOptions) -> Prediction:
    """The next-token distribution after tokenizer(text)."""
    tokens = model.vocabulary.encode(context.data)
    if not tokens:
        context = stand_in(model, context)
    sequence = context.head + tokens
    if not sequence:
        return Prediction((), 1.0, "raw", 0)
    (row,) = model.log_probabilities([sequence])
    k = _tokens_wanted(options)
    if options.whole_characters:
        listed = [_token_candidate(model.vocabulary, row, t) for t in _until_whole(model, row, k)]
        candidates = _with_whole_characters(model, sequence, listed, k, _anything)
    else:
        candidates = token_candidates(model.vocabulary, row, k)
    candidates, residual = _in_units(model, sequence, candidates, options)
    return Prediction(
        candidates=candidates,
        rest=_rest(candidates),
        method="raw",
        context_tokens=len(sequence),
        separator_stood_in=context.separator_stood_in,
        residual=residual,
        entropy=entropy(row),
    )


def _tokens_wanted(options: CursorOptions) -> int:
    """How many tokens to begin with: words may end up in another order than their tokens."""
    return options.k if options.unit == "token" else max(options.k, _BLOCK)


def _in_units(
    model: LanguageModel,
    prefix: TokenIds,
    candidates: tuple[Candidate, ...],
    options: CursorOptions,
) -> tuple[tuple[Candidate, ...], float]:
    """The candidates as they are, or expanded to words; and the residual."""
    if options.unit == "token":
        return candidates, 0.0
    return expand_words(model, prefix, candidates, options.k)


def token_candidates(
    vocabulary: Vocabulary, row: LogProbabilities, k: int
) -> tuple[Candidate, ...]:
    """The `k` most likely tokens that are text, most likely first, ties by id."""
    tokens = islice((t for t in _ranked(row) if vocabulary.is_text[t]), k)
    return tuple([_token_candidate(vocabulary, row, token) for token in tokens])


def _token_candidate(vocabulary: Vocabulary, row: LogProbabilities, token: int) -> Candidate:
    return _candidate(vocabulary.token_bytes(token), (token,), float(row[token]))


def _ranked(figures: NDArray[np.floating[Any]]) -> Iterator[int]:
    """Places in the order of their figures, largest first, ties by place."""
    for first in range(0, len(figures), _BLOCK):
        yield from most_likely(figures, first + _BLOCK)[first:]


def _until_whole(
    model: LanguageModel,
    row: LogProbabilities,
    k: int,
    allow: Callable[[Ids], NDArray[np.bool_]] = lambda ids: _anything((), b"", ids),
) -> Iterator[int]:
    """The likeliest tokens that are allowed, until `k` of them are whole characters."""
    vocabulary = model.vocabulary
    ranked = (token for token in _ranked(row) if vocabulary.is_text[token])
    whole = 0
    while block := list(islice(ranked, _BLOCK)):
        ids = np.array(block, dtype=np.int64)
        for token in ids[allow(ids)].tolist():
            yield token
            whole += _is_whole(vocabulary.token_bytes(token))
            if whole == k:
                return


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
        segments = fragments.segment(context.data)
        fragment = segments.fragment
        if len(fragment) <= MAX_FRAGMENT:
            if not segments.base:
                context = stand_in(model, context)

            def canonical(tokens: TokenIds, data: bytes, ids: Ids) -> NDArray[np.bool_]:
                return fragments.neighbours(data, tokens, ids)

            return Covered(
                context=context,
                prefix=context.head + segments.base,
                fragment=fragment,
                covers=fragments.covers(fragment),
                boundaries=fragments.heads(fragment, len(fragment)),
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
        neighbours=lambda _tokens, _data, ids: _anything((), b"", ids),
        method="healed",
    )


def _anything(_tokens: TokenIds, _data: bytes, ids: Ids) -> NDArray[np.bool_]:
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
        heads = list(missing | dict.fromkeys(_riders(model, covered, distribution)))
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


def _riders(
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
    riders = 0
    for weight, cover, token in sorted(likely, key=lambda item: (-item[0], item[2])):
        data = model.vocabulary.token_bytes(token)
        word = covered.fragment[: len(covered.fragment) - cover.overhang] + data
        if not _is_whole(word):
            continue
        for length in range(len(covered.fragment) + 1, len(word) + 1):
            head = fragments.heads(word, length)[0]
            # Beside the word itself, a head this unlikely will not matter.
            if first[head[0]] < weight + math.log(_LEAST_RIDER):
                continue
            if model.knows(covered.prefix + head):
                continue
            yield head
            riders += 1
            if riders == _MAX_RIDERS:
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


def _answer(
    model: LanguageModel,
    covered: Covered,
    distribution: CursorDistribution,
    options: CursorOptions,
) -> Prediction:
    tokens = cursor_candidates(model, covered, distribution, _tokens_wanted(options))
    candidates, residual = _in_units(model, covered.prefix, tokens, options)
    prefix_space = covered.context.prefix_space and covered.fragment.startswith(b" ")
    hidden = prefix_space and len(covered.fragment) == len(covered.context.data)
    return Prediction(
        candidates=candidates,
        rest=_rest(candidates),
        method=covered.method,
        context_tokens=len(covered.prefix) + len(covered.boundaries[0]),
        fragment=covered.fragment[1:] if hidden else covered.fragment,
        fragment_probability=math.exp(min(0.0, distribution.log_total)),
        separator_stood_in=covered.context.separator_stood_in,
        residual=residual,
    )


def cursor_candidates(
    model: LanguageModel,
    covered: Covered,
    distribution: CursorDistribution,
    k: int,
    negligible: float = NEGLIGIBLE,
) -> tuple[Candidate, ...]:
    """The `k` most likely continuations of the typed bytes, most likely first."""
    vocabulary = model.vocabulary
    parts = [
        _Part(
            cover.head,
            covered.fragment[len(covered.fragment) - cover.overhang :],
            cover.tokens,
            weights - distribution.log_total,
        )
        for cover, weights in distribution.overhanging
    ]
    listed: dict[bytes, float] = {}
    for part in parts:
        whole = 0
        for place in _ranked(part.logs):
            insertion = vocabulary.token_bytes(int(part.tokens[place]))[len(part.typed) :]
            # A token that ends at the cursor is no candidate.
            if insertion:
                listed[insertion] = max(float(part.logs[place]), listed.get(insertion, -math.inf))
                whole += _is_whole(insertion)
                if whole == k:
                    break
    rows = _boundary_rows(model, covered, distribution, listed, k, negligible)
    insertions = dict.fromkeys(listed)
    for boundary, row in rows.items():
        allow = partial(covered.neighbours, boundary, covered.fragment)
        for token in _until_whole(model, row, k, allow):
            insertions[vocabulary.token_bytes(token)] = None
    ids = _spelling(vocabulary, insertions)
    for boundary, row in rows.items():
        allowed = ids[covered.neighbours(boundary, covered.fragment, ids)]
        log_weight = distribution.boundary_log_weights[covered.boundaries.index(boundary)]
        parts.append(_Part(boundary, b"", allowed, log_weight + row[allowed].astype(np.float64)))
    # What is among the likeliest of one part may have a small share of another one.
    found = [candidate for part in parts for candidate in part.find(vocabulary, insertions)]
    return _with_whole_characters(
        model, covered.prefix, found, k, covered.neighbours, covered.fragment
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Candidates that share their first tokens: `head`, then one of `tokens`.

    The bytes `typed`, with which all of `tokens` begin, stand before the cursor; `logs` are
    the candidates' log-probabilities, one per token.
    """

    head: TokenIds
    typed: bytes
    tokens: Ids
    logs: NDArray[np.float64]

    def find(self, vocabulary: Vocabulary, insertions: Iterable[bytes]) -> Iterator[Candidate]:
        """The candidates that insert some of `insertions`."""
        spelled = {
            token: insertion
            for insertion in insertions
            if (token := vocabulary.spelled(self.typed + insertion)) is not None
        }
        asked = np.fromiter(spelled, dtype=np.int64, count=len(spelled))
        wanted = np.zeros(len(vocabulary), dtype=np.bool_)
        wanted[asked] = True
        for place in np.flatnonzero(wanted[self.tokens]).tolist():
            token = int(self.tokens[place])
            yield _candidate(spelled[token], (*self.head, token), float(self.logs[place]))


def _boundary_rows(
    model: LanguageModel,
    covered: Covered,
    distribution: CursorDistribution,
    listed: Mapping[bytes, float],
    k: int,
    negligible: float,
) -> dict[TokenIds, LogProbabilities]:
    """The rows after those boundaries that can matter to a list of `k`.

    A boundary's candidates are at most as likely as the boundary, so its row can be spared
    when the list is full without it, unless it adds to what is listed; its mass is in the rest
    either way.
    """
    whole = [log for insertion, log in listed.items() if _is_whole(insertion)]
    least = sorted(whole, reverse=True)[k - 1 : k]
    ids = _spelling(model.vocabulary, listed)
    heads: dict[TokenIds, None] = {}
    for boundary, log_weight in zip(
        covered.boundaries, distribution.boundary_log_weights, strict=True
    ):
        if math.exp(log_weight) > negligible and (
            log_weight > max(least, default=-math.inf)
            or covered.neighbours(boundary, covered.fragment, ids).any()
        ):
            heads[boundary] = None
    if not heads:
        return {}
    asked = list(heads)
    if not all(model.knows(covered.prefix + head) for head in heads):
        asked = list(heads | dict.fromkeys(_riders(model, covered, distribution)))
    rows = model.log_probabilities([covered.prefix + head for head in asked])
    return dict(zip(heads, rows, strict=False))


def _spelling(vocabulary: Vocabulary, insertions: Iterable[bytes]) -> Ids:
    """The tokens whose bytes are among `insertions`."""
    tokens = [vocabulary.spelled(insertion) for insertion in insertions]
    return np.array([token for token in tokens if token is not None], dtype=np.int64)


def _with_whole_characters(
    model: LanguageModel,
    prefix: TokenIds,
    candidates: Sequence[Candidate],
    k: int,
    neighbours: Neighbours,
    fragment: bytes = b"",
) -> tuple[Candidate, ...]:
    """The best `k`, those that end inside a character completed; best first.

    A completed candidate's probability is that of all its tokens. What is not completed within
    a few rows is left to the rest.
    """
    whole = [c for c in candidates if _is_whole(c.insertion)]
    broken = [(-c.probability, c.ids, c) for c in candidates if _may_become_whole(c.insertion)]
    heapq.heapify(broken)
    budget = _MAX_EXTENSIONS
    while broken and budget:
        best = _merged(whole)[:k]
        least = best[-1].probability if len(best) == k else 0.0
        batch: list[Candidate] = []
        while broken and -broken[0][0] >= least and len(batch) < min(_EXTENDED_TOGETHER, budget):
            batch.append(heapq.heappop(broken)[2])
        if not batch:
            break
        budget -= len(batch)
        rows = model.log_probabilities([prefix + candidate.ids for candidate in batch])
        for candidate, row in zip(batch, rows, strict=True):
            for longer in _extended(model, candidate, row, neighbours, fragment):
                if _is_whole(longer.insertion):
                    whole.append(longer)
                elif _may_become_whole(longer.insertion):
                    heapq.heappush(broken, (-longer.probability, longer.ids, longer))
    return tuple(_merged(whole)[:k])


def _extended(
    model: LanguageModel,
    candidate: Candidate,
    row: LogProbabilities,
    neighbours: Neighbours,
    fragment: bytes,
) -> Iterator[Candidate]:
    """The likeliest candidates that are `candidate` and one token more."""
    vocabulary = model.vocabulary
    block = most_likely(row, _BLOCK)
    ids = np.array([i for i in block if vocabulary.is_text[i]], dtype=np.int64)
    allowed = neighbours(candidate.ids, fragment + candidate.insertion, ids)
    for token in ids[allowed].tolist():
        yield _candidate(
            candidate.insertion + vocabulary.token_bytes(token),
            (*candidate.ids, token),
            candidate.logprob + float(row[token]),
        )


def _candidate(insertion: bytes, ids: TokenIds, logprob: float) -> Candidate:
    return Candidate(insertion, ids, math.exp(min(0.0, logprob)), min(0.0, logprob))


def _order(candidate: Candidate) -> tuple[float, TokenIds]:
    return (-candidate.logprob, candidate.ids)


def _merged(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates with equal bytes as one, named by the likeliest of them; best first."""
    by_bytes: dict[bytes, Candidate] = {}
    for candidate in sorted(candidates, key=_order):
        first = by_bytes.get(candidate.insertion)
        if first is None:
            by_bytes[candidate.insertion] = candidate
        else:
            together = float(np.logaddexp(first.logprob, candidate.logprob))
            by_bytes[candidate.insertion] = _candidate(first.insertion, first.ids, together)
    return sorted(by_bytes.values(), key=_order)


def _is_whole(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_become_whole(data: bytes) -> bool:
    """Whether only the last character is unfinished."""
    try:
        _, used = codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError:
        return False
    return used < len(data)


def _cut(prediction: Prediction, options: CursorOptions) -> Prediction:
    """Shorten the list to `k`, `min_probability` and `top_p`; what is cut goes to the rest."""
    kept: list[Candidate] = []
    total = 0.0
    for candidate in prediction.candidates[: options.k]:
        # Rounding may take the total to 1 before the list ends.
        enough = total >= options.top_p and options.top_p < 1.0
        if enough or candidate.probability < options.min_probability:
            break
        kept.append(candidate)
        total += candidate.probability
    return replace(prediction, candidates=tuple(kept), rest=_rest(kept))


def _rest(candidates: Sequence[Candidate]) -> float:
    return max(0.0, 1.0 - math.fsum(candidate.probability for candidate in candidates))
