"""What the model sees of the text before a cursor."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from likely.prediction.protocol import LanguageModel
from likely.text.vocabulary import TokenIds, Vocabulary

DocumentStart = Literal["auto", "none", "bos", "space"]

MIN_CONTEXT_TOKENS = 16
_BYTES_PER_TOKEN = 8
_SLACK = 8
"""Tokens kept free: the separator, and a word cut differently at the window's start."""


@dataclass(frozen=True, slots=True)
class TextBefore:
    """The text before a cursor.

    `data` holds its last bytes: all of them, or at least `reach(context_tokens)`, cut at a
    character boundary. `start` is the byte offset of data[0] in the document.
    """

    data: bytes
    start: int


@dataclass(frozen=True, slots=True)
class Context:
    """The part of the text that the model sees.

    `head` stands before the first byte of `data` as a token (the document separator);
    `data` is the window's text, `start` its offset in the document (one less than the
    document's where `prefix_space` put a space before it).
    """

    head: TokenIds
    data: bytes
    start: int
    prefix_space: bool
    separator_stood_in: bool


def reach(context_tokens: int) -> int:
    """How many bytes before the cursor can matter to a window of `context_tokens`."""
    return _BYTES_PER_TOKEN * context_tokens + _stride(context_tokens) + 4


def make_context(
    model: LanguageModel,
    text: TextBefore,
    context_tokens: int,
    document_start: DocumentStart,
    *,
    ahead: bool = False,
) -> Context:
    """Choose the window and what stands before it; at most `context_tokens` in all.

    The separator stands in, even under "none", where there would be nothing to condition on;
    the caller says so by `stand_in`. `ahead`: the window that will be next, once this one has
    grown full.
    """
    limit = max(MIN_CONTEXT_TOKENS, min(context_tokens, model.max_tokens))
    start = window_start(model.vocabulary, text, limit, ahead=ahead)
    data = text.data[start - text.start :]
    head: TokenIds = ()
    prefix_space = False
    if start == 0:
        automatic = document_start == "auto"
        if document_start == "bos" or (automatic and not model.vocabulary.adds_prefix_space):
            head = () if model.separator is None else (model.separator,)
        elif document_start == "space" or model.vocabulary.adds_prefix_space:
            prefix_space = not data.startswith(b" ")
    if prefix_space:
        data = b" " + data
    return Context(head, data, start - prefix_space, prefix_space, separator_stood_in=False)


def stand_in(model: LanguageModel, context: Context) -> Context:
    """`context` with the document separator before it where nothing is; else as it is."""
    if context.head or model.separator is None:
        return context
    return Context((model.separator,), context.data, context.start, context.prefix_space, True)


def window_start(
    vocabulary: Vocabulary, text: TextBefore, context_tokens: int, *, ahead: bool = False
) -> int:
    """The document offset at which the window before the cursor begins.

    A pure function of the text before the cursor that stays put for hundreds of keystrokes,
    so that the model's work on the window can be reused: it depends on the text only up to
    the last multiple of a small stride, and begins at the earliest multiple of a large step
    (smaller ones where the text is dense in tokens) that leaves room for one more stride.
    """
    end = text.start + len(text.data)
    stride = _stride(context_tokens)
    settled = end - end % stride
    room = context_tokens - stride - _SLACK - (stride if ahead else 0)
    low = max(0, settled - _BYTES_PER_TOKEN * context_tokens)
    low = max(low, text.start)
    seen = text.data[low - text.start : settled - text.start]
    return low + _earliest(vocabulary, seen, low, room, 2 * context_tokens)


def _stride(context_tokens: int) -> int:
    """Bytes; as many tokens at most can be typed before the window is chosen anew."""
    return max(2, context_tokens // 8)


@lru_cache(maxsize=256)
def _earliest(vocabulary: Vocabulary, seen: bytes, low: int, room: int, step: int) -> int:
    """The least offset in `seen` at an anchor from which at most `room` tokens follow.

    Anchors are multiples (in the document) of `step`, or of its halves where none will do,
    moved back to the start of a line, a word, or at least a character.
    """
    lengths = [len(vocabulary.token_bytes(token)) for token in vocabulary.encode(seen)]
    least = len(seen) - sum(lengths[max(0, len(lengths) - room) :])
    if low == 0 and least == 0:
        return 0
    while step >= 1:
        first = low + (-low) % step
        for anchor in range(first, low + len(seen) + 1, step):
            offset = _move_back(seen, anchor - low)
            if offset > 0 and offset >= least:
                return offset
        step //= 2
    return len(seen)


def _move_back(seen: bytes, offset: int) -> int:
    """The start of the line, word or character at `offset`, near enough before it."""
    near = max(0, offset - 128)
    line = max(seen.rfind(b"\n", near, offset), seen.rfind(b"\r", near, offset))
    if line >= 0:
        return line + 1
    word = seen.rfind(b" ", near, offset)
    if word >= 0:
        return word
    while 0 < offset < len(seen) and (seen[offset] & 0xC0) == 0x80:
        offset -= 1
    return offset
