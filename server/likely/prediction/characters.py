"""Whole characters: tokens that end inside a character are followed until it is complete."""

import codecs
import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from likely.prediction.candidates import Candidate, make_candidate, merged
from likely.prediction.covering import Neighbours
from likely.prediction.distribution import ranked
from likely.prediction.question import Distribution, Question, distributions_after
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole

_MAX_EXTENSIONS = 8
"""Rows spent on completing characters that tokens leave half."""

_EXTENDED_TOGETHER = 4
"""Rows per pass: four cost little more than one, since a pass mostly reads weights."""

_BLOCK = 64
"""Likeliest tokens looked at together where only a few of them are wanted."""


def until_whole(
    vocabulary: Vocabulary,
    distribution: Distribution,
    k: int,
    allow: Callable[[Ids], NDArray[np.bool_]],
) -> Iterator[int]:
    """The likeliest tokens that are text and allowed, until `k` of them are whole characters."""
    tokens = (token for token in ranked(distribution) if vocabulary.is_text[token])
    whole = 0
    while block := list(islice(tokens, _BLOCK)):
        ids = np.array(block, dtype=np.int64)
        for token in ids[allow(ids)].tolist():
            yield token
            whole += is_whole(vocabulary.token_bytes(token))
            if whole == k:
                return


def with_whole_characters(
    vocabulary: Vocabulary,
    prefix: TokenIds,
    candidates: Sequence[Candidate],
    k: int,
    neighbours: Neighbours,
    fragment: bytes = b"",
) -> Question[tuple[Candidate, ...]]:
    """The likeliest `k` candidates after `prefix`, those that end inside a character completed.

    A completed candidate's probability is that of all its tokens. What is not completed within
    a few rows is left to the rest.
    """
    whole = [c for c in candidates if is_whole(c.insertion)]
    broken = [(-c.probability, c.ids, c) for c in candidates if _may_become_whole(c.insertion)]
    heapq.heapify(broken)
    budget = _MAX_EXTENSIONS
    while broken and budget:
        best = merged(whole)[:k]
        least = best[-1].probability if len(best) == k else 0.0
        batch: list[Candidate] = []
        while broken and -broken[0][0] >= least and len(batch) < min(_EXTENDED_TOGETHER, budget):
            batch.append(heapq.heappop(broken)[2])
        if not batch:
            break
        budget -= len(batch)
        rows = yield from distributions_after([prefix + candidate.ids for candidate in batch])
        for candidate, row in zip(batch, rows, strict=True):
            for longer in _extended(vocabulary, candidate, row, neighbours, fragment):
                if is_whole(longer.insertion):
                    whole.append(longer)
                elif _may_become_whole(longer.insertion):
                    heapq.heappush(broken, (-longer.probability, longer.ids, longer))
    return tuple(merged(whole)[:k])


def _extended(
    vocabulary: Vocabulary,
    candidate: Candidate,
    row: Distribution,
    neighbours: Neighbours,
    fragment: bytes,
) -> Iterator[Candidate]:
    """The likeliest candidates that are `candidate` and one token more."""
    ids = np.array([i for i in row.top(_BLOCK) if vocabulary.is_text[i]], dtype=np.int64)
    allowed = neighbours(candidate.ids, fragment + candidate.insertion, ids)
    for token in ids[allowed].tolist():
        yield make_candidate(
            candidate.insertion + vocabulary.token_bytes(token),
            (*candidate.ids, token),
            candidate.logprob + row.log_probability(token),
        )


def _may_become_whole(data: bytes) -> bool:
    """Whether only the last character is unfinished."""
    try:
        _, used = codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError:
        return False
    return used < len(data)
