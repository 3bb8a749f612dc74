"""Scores of text that is already there."""

from dataclasses import dataclass

from likely.prediction.context import DocumentStart, TextBefore, before_text, make_context, stand_in
from likely.prediction.cursor import token_candidates
from likely.prediction.distribution import Candidate, TokenScore, score_token
from likely.prediction.protocol import LanguageModel

_LOOK_BEYOND = 512
"""Bytes after the position that may decide where its token ends."""


@dataclass(frozen=True, slots=True)
class TokenReading:
    """One token of a document and what the model thought of it, given everything before it.

    `start` and `end` are byte offsets in the document; `expected` the most likely tokens at
    this place, `rest` the probability mass they leave out; `before_text` is what stands before the
    text ("<|endoftext|>", "a space", "" for nothing), None where the window begins within it.
    """

    start: int
    end: int
    data: bytes
    score: TokenScore
    expected: tuple[Candidate, ...]
    rest: float
    context_tokens: int
    before_text: str | None


def read_token(
    model: LanguageModel,
    before: TextBefore,
    after: bytes,
    k: int,
    context_tokens: int,
    document_start: DocumentStart,
) -> TokenReading | None:
    """Score the token that covers the first character of `after` (raw: the textbook way).

    None where there is no character, or nothing to condition on.
    """
    if not after:
        return None
    context = make_context(model, before, context_tokens, document_start)
    beyond = after[:_LOOK_BEYOND].decode(errors="ignore").encode()
    offset = context.start
    position = before.start + len(before.data)
    preceding: list[int] = []
    for token in model.vocabulary.encode(context.data + beyond):
        end = offset + len(model.vocabulary.token_bytes(token))
        if end > position:
            break
        preceding.append(token)
        offset = end
    else:
        return None
    if not preceding:
        context = stand_in(model, context)
        if not context.head:
            return None
    sequence = context.head + tuple(preceding)
    (row,) = model.log_probabilities([sequence])
    expected = token_candidates(model.vocabulary, row, k)
    return TokenReading(
        start=max(offset, context.start + context.prefix_space),
        end=end,
        data=model.vocabulary.token_bytes(token),
        score=score_token(row, token),
        expected=expected,
        rest=max(0.0, 1.0 - sum(candidate.probability for candidate in expected)),
        context_tokens=len(sequence),
        before_text=before_text(model.vocabulary, context),
    )
