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


def before_text(vocabulary: Vocabulary, context: Context) -> str | None:
    """What stands before the text of `context`, to be shown: tokens by name, "a space", "".

    Empty where nothing does; None where the window begins within a document.
    """
    tokens = "".join(vocabulary.special_name(token) for token in context.head)
    space = "a space" if context.prefix_space else ""
    within = context.start + context.prefix_space > 0
    return None if within else " and ".join(part for part in (tokens, space) if part)


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

    The caller lets the separator stand in, even under "none", where there would be nothing to
    condition on (`stand_in`). `ahead`: the window that will be next, once this one has
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
    return Context(head, data, start - prefix_space, prefix_space)


def stand_in(model: LanguageModel, context: Context) -> Context:
    """`context` with the document separator before it where nothing is; else as it is."""
    if context.head or model.separator is None:
        return context
    return Context((model.separator,), context.data, context.start, context.prefix_space)


def window_start(
    vocabulary: Vocabulary, text: TextBefore, context_tokens: int, *, ahead: bool = False
) -> int:
    """The document offset at which the window before the cursor begins.

    A pure function of the text before the cursor that stays put for hundreds of keystrokes,
    so that the model's work on the window can be reused: it depends on the text only up to
    the last multiple of a small stride, and begins at the earliest multiple of a large step
    that leaves room for one more stride. The step is smaller where the text is dense in
    tokens, so that the window never shrinks to less than a part of what it may hold.
    """
    end = text.start + len(text.data)
    stride = _stride(context_tokens)
    settled = end - end % stride - text.start
    while 0 < settled < len(text.data) and _is_inside(text.data, settled):
        settled -= 1
    room = context_tokens - stride - _SLACK
    low = max(0, settled - _BYTES_PER_TOKEN * context_tokens)
    while low < settled and _is_inside(text.data, low):
        low += 1
    start = text.start + low
    seen = text.data[low:settled]
    return start + _earliest(vocabulary, seen, start, room, 2 * context_tokens, stride * ahead)


def _stride(context_tokens: int) -> int:
    """Bytes; as many tokens at most can be typed before the window is chosen anew."""
    return max(2, context_tokens // 8)


@lru_cache(maxsize=256)
def _earliest(
    vocabulary: Vocabulary, seen: bytes, low: int, room: int, step: int, ahead: int
) -> int:
    """The least offset in `seen` at an anchor from which at most `room` tokens follow.

    Anchors are multiples (in the document) of `step`, or of its halves until one of them is
    sure to leave a quarter of the room filled, moved back a little to the start of a line, a
    word, or at least a character. `ahead`: tokens that are yet to be typed.
    """
    lengths = [len(vocabulary.token_bytes(token)) for token in vocabulary.encode(seen)]
    least, quarter, soon = (
        sum(lengths[: max(0, len(lengths) - tokens)]) for tokens in (room, room // 4, room - ahead)
    )
    # Few tokens, and long ones, may fill all that is in reach.
    most = quarter if least else len(seen)
    while step > 1 and step + step // 8 > most - least:
        step //= 2
    least = soon
    if low == 0 and least == 0:
        return 0
    first = least + (-low - least) % step
    for anchor in (first, first + step):
        offset = _move_back(seen, anchor, step // 8)
        if offset >= least:
            return offset
    while least < len(seen) and _is_inside(seen, least):
        least += 1
    return least


def _move_back(seen: bytes, offset: int, near: int) -> int:
    """The start of the line, word or character at `offset`, at most `near` bytes before it."""
    first = max(0, offset - near)
    line = max(seen.rfind(b"\n", first, offset), seen.rfind(b"\r", first, offset))
    if line >= 0:
        return line + 1
    word = seen.rfind(b" ", first, offset)
    if word >= 0:
        return word
    while 0 < offset < len(seen) and _is_inside(seen, offset):
        offset -= 1
    return offset


def _is_inside(data: bytes, offset: int) -> bool:
    """Whether byte `offset` continues a character."""
    return data[offset] & 0xC0 == 0x80
