"""Candidates at a cursor, raw and exact.

Raw: P(t | tokenizer(text)), the textbook way. Exact: conditioned on the characters typed,
summed over covers (`covering.py`).
"""

import codecs
import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from likely.prediction.covering import (
    NEGLIGIBLE,
    Covered,
    CursorDistribution,
    Method,
    Neighbours,
    any_neighbour,
    cover_cursor,
    riders,
    weigh_covers,
)
from likely.prediction.distribution import Candidate, entropy, most_likely
from likely.prediction.protocol import LanguageModel, LogProbabilities
from likely.prediction.window import (
    Context,
    DocumentStart,
    TextBefore,
    before_text,
    make_context,
    stand_in,
    steady_context,
)
from likely.prediction.words import expand_words
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole

Mode = Literal["raw", "exact"]
Unit = Literal["token", "word"]

_MAX_EXTENSIONS = 8
"""Rows spent on completing characters that tokens leave half."""

_EXTENDED_TOGETHER = 4
"""Rows per pass: four cost little more than one, since a pass mostly reads weights."""

_BLOCK = 64
"""Likeliest tokens looked at together where only a few of them are wanted."""


@dataclass(frozen=True, slots=True)
class CursorOptions:
    """What to propose at a cursor.

    `context_tokens`: how many tokens the model sees, None for all it can take; where `steady`,
    what it sees at least, since windows that stay put while one types vary in length.
    `top_p` and `min_probability` cut the list, not the numbers. `whole_characters`: a raw
    token that ends inside a character is completed, or left to the rest, instead of listed as
    it is; exact candidates always are.
    """

    k: int = 10
    mode: Mode = "raw"
    unit: Unit = "token"
    top_p: float = 1.0
    min_probability: float = 0.0
    context_tokens: int | None = None
    steady: bool = False
    document_start: DocumentStart = "none"
    whole_characters: bool = True


@dataclass(frozen=True, slots=True)
class Prediction:
    """Candidates at a cursor in the order of their probability.

    `rest` is the probability mass that the candidates leave out; `fragment` the typed bytes
    that the candidates are conditioned on, `fragment_probability` the model's probability of
    them given what stands before (None in raw mode). `residual`: for words, the mass that the
    search left unexpanded, by which a word's figure may be too low. `entropy` in bits, of the
    next-token distribution (raw mode). `before_text`: see `window.before_text`.
    """

    candidates: tuple[Candidate, ...]
    rest: float
    method: Method
    context_tokens: int
    fragment: bytes = b""
    fragment_probability: float | None = None
    residual: float = 0.0
    entropy: float | None = None
    before_text: str | None = ""


def predict_at_cursor(model: LanguageModel, text: TextBefore, options: CursorOptions) -> Prediction:
    """Propose continuations of `text`, with their probabilities."""
    context = context_before(model, text, options)
    return predict_in_context(model, context, options)[0]


def context_before(
    model: LanguageModel, text: TextBefore, options: CursorOptions, *, ahead: bool = False
) -> Context:
    """What the model sees of `text`; `ahead`: of a steady window, the one that comes next."""
    tokens, document_start = options.context_tokens, options.document_start
    if options.steady:
        least = model.max_tokens if tokens is None else tokens
        return steady_context(model, text, least, document_start, ahead=ahead)
    return make_context(model, text, tokens, document_start)


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
        candidates = _with_whole_characters(model, sequence, listed, k, any_neighbour)
    else:
        candidates = token_candidates(model.vocabulary, row, k)
    candidates, residual = _in_units(model, sequence, candidates, options)
    return Prediction(
        candidates=candidates,
        rest=_rest(candidates),
        method="raw",
        context_tokens=len(sequence),
        residual=residual,
        entropy=entropy(row),
        before_text=before_text(model.vocabulary, context),
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
    first, known = 0, _BLOCK
    while first < len(figures):
        yield from most_likely(figures, known)[first:]
        # Whoever looks far down the list shall not sort it a thousand times.
        first, known = known, 2 * known


def _until_whole(
    model: LanguageModel,
    row: LogProbabilities,
    k: int,
    allow: Callable[[Ids], NDArray[np.bool_]] = lambda ids: any_neighbour((), b"", ids),
) -> Iterator[int]:
    """The likeliest tokens that are allowed, until `k` of them are whole characters."""
    vocabulary = model.vocabulary
    ranked = (token for token in _ranked(row) if vocabulary.is_text[token])
    whole = 0
    while block := list(islice(ranked, _BLOCK)):
        ids = np.array(block, dtype=np.int64)
        for token in ids[allow(ids)].tolist():
            yield token
            whole += is_whole(vocabulary.token_bytes(token))
            if whole == k:
                return


def _answer(
    model: LanguageModel,
    covered: Covered,
    distribution: CursorDistribution,
    options: CursorOptions,
) -> Prediction:
    tokens = cursor_candidates(model, covered, distribution, _tokens_wanted(options))
    candidates, residual = _in_units(model, covered.prefix, tokens, options)
    fragment = _typed(model.vocabulary, covered.context.data, covered.fragment)
    prefix_space = covered.context.prefix_space and fragment.startswith(b" ")
    hidden = prefix_space and len(fragment) == len(covered.context.data)
    return Prediction(
        candidates=candidates,
        rest=_rest(candidates),
        method=covered.method,
        context_tokens=len(covered.prefix) + len(covered.boundaries[0]),
        fragment=fragment[1:] if hidden else fragment,
        fragment_probability=math.exp(min(0.0, distribution.log_total)),
        residual=residual,
        before_text=before_text(model.vocabulary, covered.context),
    )


def _typed(vocabulary: Vocabulary, text: bytes, fragment: bytes) -> bytes:
    """The end of `text` as it was typed that `fragment` is the composed form of."""
    if text.endswith(fragment):
        return fragment
    for start in range(len(text) - 1, -1, -1):
        if is_whole(text[start:]) and vocabulary.normalized(text[start:]) == fragment:
            return text[start:]
    return b""


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
                whole += is_whole(insertion)
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
    whole = [log for insertion, log in listed.items() if is_whole(insertion)]
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
        asked = list(heads | dict.fromkeys(riders(model, covered, distribution)))
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
    whole = [c for c in candidates if is_whole(c.insertion)]
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
                if is_whole(longer.insertion):
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
