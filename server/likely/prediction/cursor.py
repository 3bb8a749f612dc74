"""Candidates at a cursor, conditioned on the characters typed: summed over covers.

`covering.py` says what can cover a cursor and how likely that is; here follow the candidates.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from likely.prediction.candidates import Candidate, Prediction, make_candidate, rest_of
from likely.prediction.characters import until_whole, with_whole_characters
from likely.prediction.covering import (
    NEGLIGIBLE,
    Covered,
    CursorDistribution,
    Rows,
    cover_cursor,
    riders,
    weigh_covers,
)
from likely.prediction.distribution import ranked_places
from likely.prediction.options import CursorOptions
from likely.prediction.question import Distribution, LanguageModel, Question, distributions_after
from likely.prediction.textbook import textbook
from likely.prediction.window import (
    Context,
    TextBefore,
    before_text,
    make_context,
    steady_context,
)
from likely.prediction.words import in_units, tokens_wanted
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole


@dataclass(frozen=True, slots=True)
class Weighed:
    """What an exact prediction was made of: the covers, their weights, and the distributions
    after boundaries, by boundary."""

    covered: Covered
    distribution: CursorDistribution
    rows: Rows


def predict_at_cursor(
    model: LanguageModel, text: TextBefore, options: CursorOptions
) -> Question[Prediction]:
    """Propose continuations of `text`, with their probabilities."""
    context = context_before(model, text, options)
    return (yield from predict_in_context(model, context, options))[0]


def context_before(
    model: LanguageModel, text: TextBefore, options: CursorOptions, *, ahead: bool = False
) -> Context:
    """What the model sees of `text`; `ahead`: of a steady window, the one that comes next."""
    tokens, document_start = options.context_tokens, options.document_start
    if options.steady:
        return steady_context(model, text, tokens, document_start, ahead=ahead)
    return make_context(model, text, tokens, document_start)


def predict_in_context(
    model: LanguageModel, context: Context, options: CursorOptions
) -> Question[tuple[Prediction, Weighed | None]]:
    """Propose continuations of the text of `context`, and say what they were made of.

    The second is None for the textbook distribution.
    """
    if options.mode == "exact" and context.data and model.vocabulary.has_bytes:
        covered = cover_cursor(model, context)
        if covered.prefix:
            prediction, weighed = yield from _exact(covered, options)
            return _cut(prediction, options), weighed
        context = covered.context
    prediction = yield from textbook(model, context, options)
    return _cut(prediction, options), None


def _exact(covered: Covered, options: CursorOptions) -> Question[tuple[Prediction, Weighed]]:
    distribution = yield from weigh_covers(covered)
    tokens, rows = yield from cursor_candidates(covered, distribution, tokens_wanted(options))
    candidates, residual = yield from in_units(covered.vocabulary, covered.prefix, tokens, options)
    fragment = _typed(covered)
    prefix_space = covered.context.prefix_space and fragment.startswith(b" ")
    hidden = prefix_space and len(fragment) == len(covered.context.data)
    prediction = Prediction(
        candidates=candidates,
        rest=rest_of(candidates),
        method=covered.method,
        context_tokens=len(covered.prefix) + len(covered.boundaries[0]),
        fragment=fragment[1:] if hidden else fragment,
        fragment_probability=math.exp(min(0.0, distribution.log_total)),
        residual=residual,
        before_text=before_text(covered.vocabulary, covered.context),
        unknown_mass=distribution.unknown_mass,
    )
    return prediction, Weighed(covered, distribution, rows)


def _typed(covered: Covered) -> bytes:
    """The fragment as it was typed, where the tokenizer composes what was not."""
    text, fragment = covered.context.data, covered.fragment
    if text.endswith(fragment):
        return fragment
    for start in range(len(text) - 1, -1, -1):
        if is_whole(text[start:]) and covered.vocabulary.normalized(text[start:]) == fragment:
            return text[start:]
    return b""


def cursor_candidates(
    covered: Covered,
    distribution: CursorDistribution,
    k: int,
    negligible: float = NEGLIGIBLE,
) -> Question[tuple[tuple[Candidate, ...], Rows]]:
    """The `k` likeliest continuations of the typed bytes, likeliest first.

    Also the distributions after those boundaries that matter to them.
    """
    vocabulary = covered.vocabulary
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
        for place in ranked_places(part.logs):
            insertion = vocabulary.token_bytes(int(part.tokens[place]))[len(part.typed) :]
            # A token that ends at the cursor is no candidate.
            if insertion:
                listed[insertion] = max(float(part.logs[place]), listed.get(insertion, -math.inf))
                whole += is_whole(insertion)
                if whole == k:
                    break
    boundaries = _boundaries_that_matter(covered, distribution, listed, k, negligible)
    rows: dict[TokenIds, Distribution] = {}
    if boundaries:
        found = yield from distributions_after(
            [covered.prefix + boundary for boundary in boundaries], riders(covered, distribution)
        )
        rows.update(zip(boundaries, found, strict=True))
    insertions = dict.fromkeys(listed)
    for boundary, row in rows.items():
        allow = partial(covered.neighbours, boundary, covered.fragment)
        for token in until_whole(vocabulary, row, k, allow):
            insertions[vocabulary.token_bytes(token)] = None
    ids = _spelling(vocabulary, insertions)
    for boundary, row in rows.items():
        allowed = ids[covered.neighbours(boundary, covered.fragment, ids)]
        log_weight = distribution.boundary_log_weights[covered.boundaries.index(boundary)]
        logs = log_weight + row.log_probabilities(allowed).astype(np.float64)
        parts.append(_Part(boundary, b"", allowed, logs))
    # What is among the likeliest of one part may have a small share of another one.
    found_in_parts = [c for part in parts for c in part.find(vocabulary, insertions)]
    candidates = yield from with_whole_characters(
        vocabulary, covered.prefix, found_in_parts, k, covered.neighbours, covered.fragment
    )
    return candidates, rows


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
        wanted = np.zeros(len(vocabulary), dtype=np.bool_)
        wanted[np.fromiter(spelled, dtype=np.int64, count=len(spelled))] = True
        for place in np.flatnonzero(wanted[self.tokens]).tolist():
            token = int(self.tokens[place])
            log = float(self.logs[place])
            if log > -math.inf:
                yield make_candidate(spelled[token], (*self.head, token), log)


def _boundaries_that_matter(
    covered: Covered,
    distribution: CursorDistribution,
    listed: Mapping[bytes, float],
    k: int,
    negligible: float,
) -> list[TokenIds]:
    """The boundaries whose distributions can matter to a list of `k`.

    A boundary's candidates are at most as likely as the boundary, so its row can be spared
    when the list is full without it, unless it adds to what is listed; its mass is in the rest
    either way.
    """
    whole = [log for insertion, log in listed.items() if is_whole(insertion)]
    least = sorted(whole, reverse=True)[k - 1 : k]
    ids = _spelling(covered.vocabulary, listed)
    return [
        boundary
        for boundary, log_weight in zip(
            covered.boundaries, distribution.boundary_log_weights, strict=True
        )
        if math.exp(log_weight) > negligible
        and (
            log_weight > max(least, default=-math.inf)
            or covered.neighbours(boundary, covered.fragment, ids).any()
        )
    ]


def _spelling(vocabulary: Vocabulary, insertions: Iterable[bytes]) -> Ids:
    """The tokens whose bytes are among `insertions`."""
    tokens = [vocabulary.spelled(insertion) for insertion in insertions]
    return np.array([token for token in tokens if token is not None], dtype=np.int64)


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
    return replace(prediction, candidates=tuple(kept), rest=rest_of(kept))
