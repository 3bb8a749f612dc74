"""Candidates at a cursor, raw and exact.

Raw: P(t | tokenizer(text)), the textbook way. Exact: conditioned on the characters typed,
summed over covers (DESIGN of the algorithm: minimal covers, Vieira et al. 2024, arXiv
2412.03719, and Phan et al. 2024, arXiv 2410.09303; canonical encodings only, Hayase et al.
2025, arXiv 2506.14123).
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

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
from likely.text.fragments import MAX_FRAGMENT, Cover, Fragments
from likely.text.vocabulary import Ids, TokenIds, Vocabulary

Mode = Literal["raw", "exact"]
Method = Literal["raw", "exact", "healed"]
Unit = Literal["token", "word"]

NEGLIGIBLE = 1e-4
"""A row whose largest possible share of the answer is smaller is not computed."""

_MAX_EXTENSIONS = 8
"""Rows spent on completing characters that a token leaves half."""


@dataclass(frozen=True, slots=True)
class CursorOptions:
    """What to propose at a cursor; `top_p` and `min_probability` cut the list, not the numbers."""

    k: int = 10
    mode: Mode = "raw"
    unit: Unit = "token"
    top_p: float = 1.0
    min_probability: float = 0.0
    context_tokens: int = 512
    document_start: DocumentStart = "none"


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


def predict_at_cursor(
    model: LanguageModel, text: TextBefore, options: CursorOptions
) -> Prediction:
    """Propose continuations of `text`, with their probabilities."""
    context = make_context(model, text, options.context_tokens, options.document_start)
    prediction = predict_raw(model, context, options.k)
    return _cut(prediction, options)


def predict_raw(model: LanguageModel, context: Context, k: int) -> Prediction:
    """The next-token distribution after tokenizer(text)."""
    tokens = model.vocabulary.encode(context.data)
    if not tokens:
        context = stand_in(model, context)
    sequence = context.head + tokens
    if not sequence:
        return Prediction((), 1.0, "raw", 0)
    (row,) = model.log_probabilities([sequence])
    candidates = token_candidates(model.vocabulary, row, k)
    return Prediction(
        candidates=candidates,
        rest=_rest(candidates),
        method="raw",
        context_tokens=len(sequence),
        separator_stood_in=context.separator_stood_in,
        entropy=entropy(row),
    )


def token_candidates(
    vocabulary: Vocabulary, row: LogProbabilities, k: int
) -> tuple[Candidate, ...]:
    """The `k` most likely tokens that are text, most likely first, ties by id."""
    candidates = []
    for token in most_likely(row, k + len(vocabulary.special)):
        data = vocabulary.token_bytes(token)
        if data and len(candidates) < k:
            logprob = float(row[token])
            candidates.append(Candidate(data, (token,), math.exp(logprob), logprob))
    return tuple(candidates)


def _cut(prediction: Prediction, options: CursorOptions) -> Prediction:
    """Shorten the list to `k`, `min_probability` and `top_p`; what is cut goes to the rest."""
    kept: list[Candidate] = []
    total = 0.0
    for candidate in prediction.candidates[: options.k]:
        if candidate.probability < options.min_probability or total >= options.top_p:
            break
        kept.append(candidate)
        total += candidate.probability
    return replace(prediction, candidates=tuple(kept), rest=_rest(kept))


def _rest(candidates: tuple[Candidate, ...] | list[Candidate]) -> float:
    return max(0.0, 1.0 - math.fsum(candidate.probability for candidate in candidates))
