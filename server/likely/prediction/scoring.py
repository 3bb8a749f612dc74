"""Scores of text that is already there."""

import math
from bisect import bisect_right
from dataclasses import dataclass

from likely.prediction.candidates import Candidate
from likely.prediction.distribution import BITS_PER_NAT, TokenScore, score_token
from likely.prediction.options import DocumentStart
from likely.prediction.question import LanguageModel, Question, distributions_after
from likely.prediction.textbook import token_candidates
from likely.prediction.window import (
    Context,
    TextBefore,
    before_text,
    reading_context,
    stand_in,
)
from likely.text.utf8 import is_inside
from likely.text.vocabulary import TokenIds, Vocabulary

_LOOK_BEYOND = 512
"""Bytes after the position that may decide where its token ends."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token's bytes, and what the model thought of it given everything before it."""

    data: bytes
    score: TokenScore


@dataclass(frozen=True, slots=True)
class TokenReading:
    """One token of a document and what the model thought of it, given everything before it.

    `start` and `end` are byte offsets in the document; `expected` the most likely tokens at
    this place, `rest` the probability mass they leave out; `before_text` is what
    `window.before_text` says.

    A character that is made of several tokens is read whole: `data` are the bytes of all of
    `tokens` (empty where there is one), and `score`, `expected` and `rest` belong to the first.
    """

    start: int
    end: int
    data: bytes
    score: TokenScore
    expected: tuple[Candidate, ...]
    rest: float
    context_tokens: int
    tokens: tuple[ScoredToken, ...] = ()
    before_text: str | None = ""

    @property
    def logprob(self) -> float:
        """The natural log-probability of all that was read."""
        if not self.tokens:
            return self.score.logprob
        return math.fsum(token.score.logprob for token in self.tokens)

    @property
    def probability(self) -> float:
        """The probability of all that was read."""
        return math.exp(min(0.0, self.logprob))

    @property
    def surprisal(self) -> float:
        """-log2 p of all that was read, in bits."""
        return -self.logprob * BITS_PER_NAT


def read_token(
    model: LanguageModel,
    before: TextBefore,
    after: bytes,
    k: int,
    document_start: DocumentStart,
) -> Question[TokenReading | None]:
    """Score the token that covers the first character of `after` (raw: the textbook way).

    `before` holds at least `reading_reach(model)` bytes where there are so many. None where
    there is no character, or nothing to condition on.
    """
    if not after:
        return None
    text = before.data + after[:_LOOK_BEYOND].decode(errors="ignore").encode()
    position = before.start + len(before.data)
    context = reading_context(model, before, document_start)
    place = _find(model.vocabulary, context, _text(context, text, before.start), position)
    if place is not None and before.start <= place.start < position:
        # The window belongs to the token, wherever in it one points.
        start = TextBefore(before.data[: place.start - before.start], before.start)
        context = reading_context(model, start, document_start)
        place = _find(model.vocabulary, context, _text(context, text, before.start), position)
    if place is None:
        return None
    if not place.preceding:
        context = stand_in(model, context)
        if not context.head:
            return None
    sequence = context.head + place.preceding
    prefixes = [sequence + place.tokens[:count] for count in range(len(place.tokens))]
    rows = yield from distributions_after(prefixes)
    expected = token_candidates(model.vocabulary, rows[0], k)
    scored = [
        ScoredToken(model.vocabulary.token_bytes(token), score_token(row, token))
        for token, row in zip(place.tokens, rows, strict=True)
    ]
    return TokenReading(
        start=max(place.start, context.start + context.prefix_space),
        end=place.end,
        data=b"".join(token.data for token in scored),
        score=scored[0].score,
        expected=expected,
        rest=max(0.0, 1.0 - sum(candidate.probability for candidate in expected)),
        context_tokens=len(sequence),
        tokens=tuple(scored) if len(scored) > 1 else (),
        before_text=before_text(model.vocabulary, context),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """The tokens of whole characters at a position, and the window's tokens before them."""

    preceding: TokenIds
    tokens: TokenIds
    start: int
    end: int


def _text(context: Context, text: bytes, start: int) -> bytes:
    """The window's text, as far as `text`, which begins at the document's offset `start`, goes."""
    space = b" " if context.prefix_space else b""
    return space + text[context.start + context.prefix_space - start :]


def _find(vocabulary: Vocabulary, context: Context, text: bytes, position: int) -> _Place | None:
    """The tokens in the window's `text` that make up the character at the offset `position`."""
    tokens, ends = vocabulary.spans(text)
    starts = [0, *ends]
    wanted = position - context.start
    last = bisect_right(ends, wanted)
    if last == len(tokens):
        return None
    first = last
    # Half a character begins or ends here, or a token whose character ends with a later one.
    while first and (is_inside(text, starts[first]) or starts[first - 1] == starts[first]):
        first -= 1
    while last < len(tokens) - 1 and is_inside(text, ends[last]):
        last += 1
    return _Place(
        preceding=tokens[:first],
        tokens=tokens[first : last + 1],
        start=context.start + starts[first],
        end=context.start + ends[last],
    )
