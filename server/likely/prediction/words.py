"""Whole words: token candidates expanded best-first to the next word boundary.

A word's probability is the product along its tokens times the mass of the tokens that begin
something new after it (Pimentel & Meister 2024, arXiv 2406.14561; Oh & Schuler 2024, arXiv
2406.10851). What the search leaves unexpanded is the residual: figures are lower bounds.
"""

import heapq
import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from likely.prediction.candidates import Candidate
from likely.prediction.distribution import most_likely
from likely.prediction.options import CursorOptions
from likely.prediction.question import Distribution, Question, distributions_after
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole

_MAX_ROWS = 24
_BATCH = 12
"""Rows per pass: twelve cost half as much again as one, since a pass mostly reads weights."""

_LEAST = 1e-3
"""What is less likely is not followed to the end of its word: it stays in the residual."""

_CHILDREN = 12
_BEGINNINGS = 64
"""Tokens to begin with: words may end up in another order than their first tokens."""

_APOSTROPHES = "'\u2019"
_WITHOUT_SPACES = frozenset(
    ["CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "IDEOGRAPHIC"]
)


def tokens_wanted(options: CursorOptions) -> int:
    """How many tokens to begin with, so that the likeliest units are among them."""
    return options.k if options.unit == "token" else max(options.k, _BEGINNINGS)


def in_units(
    vocabulary: Vocabulary,
    prefix: TokenIds,
    candidates: tuple[Candidate, ...],
    options: CursorOptions,
) -> Question[tuple[tuple[Candidate, ...], float]]:
    """The candidates as they are, or expanded to words; and the residual."""
    if options.unit == "token":
        return candidates, 0.0
    return (yield from expand_words(vocabulary, prefix, candidates, options.k))


def expand_words(
    vocabulary: Vocabulary, prefix: TokenIds, candidates: Sequence[Candidate], k: int
) -> Question[tuple[tuple[Candidate, ...], float]]:
    """The `k` most likely words that begin with `candidates`, and the residual mass.

    `candidates` are tokens after `prefix`; their ids start behind it. Punctuation and white
    space stay the tokens they are, and so do scripts that write no spaces between words.
    """
    heap: list[tuple[float, TokenIds, bool, Candidate]] = []
    for candidate in candidates:
        _push(heap, candidate, complete=not _is_open(candidate.insertion))
    words: list[Candidate] = []
    budget = _MAX_ROWS
    residual = 0.0
    while heap and len(words) < k:
        if heap[0][2]:
            words.append(heapq.heappop(heap)[3])
            continue
        if not budget or heap[0][3].probability < _LEAST:
            break
        # Only what stands before the next finished word can come before it.
        batch: list[Candidate] = []
        while heap and not heap[0][2] and len(batch) < min(_BATCH, budget):
            if batch and heap[0][3].probability < _LEAST:
                break
            batch.append(heapq.heappop(heap)[3])
        budget -= len(batch)
        rows = yield from distributions_after([prefix + candidate.ids for candidate in batch])
        for candidate, row in zip(batch, rows, strict=True):
            residual += _expand(heap, vocabulary, candidate, row)
    residual += math.fsum(item[3].probability for item in heap if not item[2])
    finished = [item[3] for item in sorted(heap) if item[2]]
    return tuple([*words, *finished][:k]), residual


def _push(
    heap: list[tuple[float, TokenIds, bool, Candidate]], candidate: Candidate, *, complete: bool
) -> None:
    heapq.heappush(heap, (-candidate.logprob, candidate.ids, complete, candidate))


def _expand(
    heap: list[tuple[float, TokenIds, bool, Candidate]],
    vocabulary: Vocabulary,
    candidate: Candidate,
    row: Distribution,
) -> float:
    """Push the word that `candidate` is and the longer ones; returns the mass left out."""
    continuing = _continuing(vocabulary)
    logs = row.log_probabilities(continuing).astype(np.float64)
    # What an engine does not tell might all continue the word.
    mass = float(np.exp(logs).sum()) + row.unknown_mass
    # Nothing begins a new word inside a character.
    ended = max(0.0, 1.0 - mass) if is_whole(candidate.insertion) else 0.0
    if ended > 0:
        logprob = candidate.logprob + math.log(ended)
        word = Candidate(candidate.insertion, candidate.ids, math.exp(logprob), logprob)
        _push(heap, word, complete=True)
    expanded = 0.0
    for place in most_likely(logs, _CHILDREN):
        if logs[place] == -math.inf:
            break
        token = int(continuing[place])
        insertion = candidate.insertion + vocabulary.token_bytes(token)
        logprob = candidate.logprob + float(logs[place])
        longer = Candidate(insertion, (*candidate.ids, token), math.exp(logprob), logprob)
        expanded += math.exp(logs[place])
        _push(heap, longer, complete=not _is_open(insertion))
    return candidate.probability * max(0.0, 1.0 - ended - expanded)


def _is_open(insertion: bytes) -> bool:
    """Whether a word that ends `insertion` may still go on."""
    if not is_whole(insertion):
        return True
    text = insertion.decode()
    return bool(text) and _is_word_character(text[-1]) and not _writes_no_spaces(text[-1])


@lru_cache(maxsize=4)
def _continuing(vocabulary: Vocabulary) -> Ids:
    """The ids of the tokens that continue a word that stands before them, in order."""
    texts = (vocabulary.token_bytes(token) for token in range(len(vocabulary)))
    return np.flatnonzero([continues_word(text) for text in texts])


def continues_word(token: bytes) -> bool:
    """Whether a token continues a word that stands before it."""
    text = token.decode(errors="replace")
    if text.startswith("\ufffd"):
        # Half a character: nearly always a letter's, and it may not end a word.
        return True
    if len(text) > 1 and text[0] in _APOSTROPHES:
        return text[1].isalpha()
    return bool(text) and _is_word_character(text[0])


def _is_word_character(character: str) -> bool:
    """Letters, marks, numbers and the underscore: words of prose and identifiers of code."""
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _writes_no_spaces(character: str) -> bool:
    return unicodedata.name(character, "").split(" ", 1)[0].split("-")[0] in _WITHOUT_SPACES
