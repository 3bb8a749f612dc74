"""What the model sees of the text before a position.

What is asked once sees all that the model can take. Typing, and reading here and there, see a
window that stays put, so that the model's work on it can be reused. Where a window begins is a
pure function of the text, and a place where a token of the document begins.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache

from likely.prediction.options import DocumentStart
from likely.prediction.question import LanguageModel
from likely.text.utf8 import is_inside
from likely.text.vocabulary import TokenIds, Vocabulary

MIN_CONTEXT_TOKENS = 16
_NEAR, _FAR = 6, 24
"""Bytes per token that are looked at: enough for nearly all texts, and for the others."""

_RUN = 4096
"""Bytes: in a longer run of one kind of characters its first token may be cut otherwise."""

_ALIKE = 256
"""Bytes from a window's start on that must be tokenized as in the document."""

_SPARE = 16
"""Tokens kept free of the model's limit: words and half characters are followed further."""

_SLACK = 8
"""Tokens kept free in a steady window: what stands before it, a word still being typed."""

# Places where every pre-tokenizer known here ends one piece and begins another, whatever stands
# around them: behind a letter or digit and before anything else, behind a line end and before
# text, between letters and digits.
_SURE = re.compile(
    r"(?<=[^\W_])(?=\W)|(?<=[\r\n])(?=\S)|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class TextBefore:
    """The text before a cursor.

    `data` holds its last bytes: all of them, or at least `reach(...)`, cut at a character
    boundary. `start` is the byte offset of data[0] in the document.
    """

    data: bytes
    start: int


@dataclass(frozen=True, slots=True)
class Context:
    """The part of the text that the model sees.

    `head` stands before the first byte of `data` as tokens (the document separator);
    `data` is the window's text, `start` its offset in the document (one less than the
    document's where `prefix_space` put a space before it).
    """

    head: TokenIds
    data: bytes
    start: int
    prefix_space: bool


def before_text(vocabulary: Vocabulary, context: Context) -> str | None:
    """What stands before the document's text, to be shown: tokens by name, "a space", "".

    Empty where nothing does; None where the window begins inside the document.
    """
    tokens = "".join([vocabulary.special_name(token) for token in context.head])
    space = "a space" if context.prefix_space else ""
    within = context.start + context.prefix_space > 0
    return None if within else " and ".join([part for part in (tokens, space) if part])


def reach(most: int) -> int:
    """How many bytes before a position can matter to a window of at most `most` tokens."""
    return _FAR * most + _stride(most) + _RUN


def whole_reach(model: LanguageModel, context_tokens: int | None) -> int:
    """How many bytes before a position matter to what is asked once; see `make_context`."""
    return reach(_allowed(model, context_tokens))


def steady_reach(model: LanguageModel, context_tokens: int | None) -> int:
    """How many bytes before the cursor matter while typing; see `steady_context`."""
    return reach(_steady(model, context_tokens)[1])


def reading_reach(model: LanguageModel) -> int:
    """How many bytes before a token matter to its figures; see `reading_context`."""
    return reach(_allowed(model, None))


def make_context(
    model: LanguageModel,
    text: TextBefore,
    context_tokens: int | None,
    document_start: DocumentStart,
) -> Context:
    """What is seen where one asks once: the last `context_tokens`, or all the model can take.

    The separator stands in, even under "none", where there would be nothing to condition on;
    the caller says so by `stand_in`.
    """
    most = _allowed(model, context_tokens)
    context = _from(model, text, _last_tokens(model.vocabulary, text, most), document_start)
    added = len(context.head) + context.prefix_space
    if added:
        start = _last_tokens(model.vocabulary, text, most - added)
        context = _from(model, text, start, document_start)
    return context


def steady_context(
    model: LanguageModel,
    text: TextBefore,
    context_tokens: int | None,
    document_start: DocumentStart,
    *,
    ahead: bool = False,
) -> Context:
    """What is seen while typing: `context_tokens` or up to half as many again.

    `ahead`: the window that will be next, once this one has grown full.
    """
    least, most = _steady(model, context_tokens)
    start = window_start(model.vocabulary, text, least, most, ahead=ahead)
    return _from(model, text, start, document_start)


def reading_context(
    model: LanguageModel, text: TextBefore, document_start: DocumentStart
) -> Context:
    """What is seen before a token that is read: between half and all that the model can take.

    It moves in large steps, so that reading on and around reuses the model's work.
    """
    most = _allowed(model, None)
    start = window_start(model.vocabulary, text, most // 2, most)
    return _from(model, text, start, document_start)


def stand_in(model: LanguageModel, context: Context) -> Context:
    """`context` with the document separator before it where nothing is; else as it is."""
    if context.head or model.separator is None:
        return context
    return Context((model.separator,), context.data, context.start, context.prefix_space)


def _allowed(model: LanguageModel, context_tokens: int | None) -> int:
    """How many tokens may be asked about."""
    most = model.max_tokens - min(_SPARE, model.max_tokens // 8)
    return most if context_tokens is None else max(MIN_CONTEXT_TOKENS, min(context_tokens, most))


def _steady(model: LanguageModel, context_tokens: int | None) -> tuple[int, int]:
    """How many tokens a window holds at least, where the text has so many, and at most."""
    if context_tokens is None:
        context_tokens = model.max_tokens
    most = min(max(MIN_CONTEXT_TOKENS, context_tokens) * 3 // 2, _allowed(model, None))
    return most * 2 // 3, most


def _from(
    model: LanguageModel, text: TextBefore, start: int, document_start: DocumentStart
) -> Context:
    """The context that begins at the document's offset `start`."""
    data = text.data[start - text.start :]
    head: TokenIds = ()
    prefix_space = False
    if start == 0:
        automatic = document_start == "auto"
        if model.vocabulary.begins:
            head = model.vocabulary.begins
            prefix_space = document_start == "space" or model.vocabulary.adds_prefix_space
            prefix_space = prefix_space and not data.startswith(b" ")
        elif document_start == "bos" or (automatic and not model.vocabulary.adds_prefix_space):
            head = () if model.separator is None else (model.separator,)
        elif document_start == "space" or model.vocabulary.adds_prefix_space:
            prefix_space = not data.startswith(b" ")
    if prefix_space:
        data = b" " + data
    return Context(head, data, start - prefix_space, prefix_space)


def _last_tokens(vocabulary: Vocabulary, text: TextBefore, most: int) -> int:
    """The document's offset from which at most `most` tokens follow, the least there is."""
    low = _beginning(text, max(0, len(text.data) - _FAR * most))
    seen = text.data[low:]
    tokens, starts = _tokens(vocabulary, seen)
    for place in range(max(0, len(tokens) - most), len(tokens)):
        if place == 0 or _is_own(vocabulary, seen, tokens[place:], starts[place]):
            return text.start + low + starts[place]
    return text.start + (low if not tokens else len(text.data))


def window_start(
    vocabulary: Vocabulary, text: TextBefore, least: int, most: int, *, ahead: bool = False
) -> int:
    """The document's offset at which a window before a position begins that stays put.

    It holds at most `most` tokens and at least `least` where the text has so many. It depends
    on the text only up to the last multiple of a small stride, and begins at the earliest
    multiple of a step that leaves room for one more stride; the step is as large as it can be
    without leaving fewer than `least`. `ahead`: the window that comes next.
    """
    end = text.start + len(text.data)
    stride = _stride(most)
    settled = _character_start(text.data, max(0, end - end % stride - text.start))
    room = most - stride - min(_SLACK, 1 + most // 12)
    for per_token in (_NEAR, _FAR):
        low = _beginning(text, max(0, settled - per_token * most))
        tail = _Tail(vocabulary, text.data[low:settled], text.start + low)
        if tail.offset == 0 or tail.tokens > room:
            break
    return _earliest(tail, least, room, stride * ahead)


def _stride(most: int) -> int:
    """Bytes; as many tokens at most can be typed before the window is chosen anew."""
    return max(2, most // 12)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a text: `data` at `offset` in the document, where one of its tokens begins."""

    vocabulary: Vocabulary
    data: bytes
    offset: int

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the tokens begin in `data`."""
        return _tokens(self.vocabulary, self.data)[1]

    @property
    def tokens(self) -> int:
        """How many there are."""
        return len(self.starts)

    def last(self, count: int) -> int:
        """Where the last `count` tokens begin."""
        if count <= 0:
            return len(self.data)
        return self.starts[max(0, self.tokens - count)] if self.starts else 0


@lru_cache(maxsize=256)
def _earliest(tail: _Tail, least: int, room: int, ahead: int) -> int:
    """The document's offset of the least anchor in `tail` with at most `room` tokens behind it.

    Anchors are multiples (in the document) of the step, moved back a little to the start of a
    line, a word, or at least a token. `ahead`: tokens that are yet to be typed.
    """
    first = tail.last(room - ahead)
    if tail.offset == 0 and first == 0:
        return 0
    # Few tokens, and long ones, may fill all that is looked at.
    last = tail.last(least - ahead) if first else len(tail.data)
    step = 1 << max(0, last - first).bit_length()
    while step > 1 and step + step // 8 > last - first:
        step //= 2
    anchor = first + (-tail.offset - first) % step
    for place in (anchor, anchor + step):
        found = _move_back(tail, place, step // 8)
        if found >= first:
            return tail.offset + found
    starts = tail.starts
    for place in range(bisect_left(starts, first), len(starts)):
        if not is_inside(tail.data, starts[place]):
            return tail.offset + starts[place]
    return tail.offset + len(tail.data)


def _move_back(tail: _Tail, place: int, near: int) -> int:
    """The start of the line, word or piece at most `near` bytes before `place`, or of a token."""
    data = tail.data
    if place <= len(data) and near:
        sure = _sure_places(data, max(0, place - near), place)
        lines = [at for at in sure if data[at - 1 : at] in (b"\n", b"\r")]
        words = [at for at in sure if data[at : at + 1] == b" "]
        for kind in (lines, words, sure):
            if kind:
                return kind[-1]
    starts = tail.starts
    for number in range(bisect_right(starts, place) - 1, -1, -1):
        if not is_inside(data, starts[number]):
            return starts[number]
    return 0


def _beginning(text: TextBefore, low: int) -> int:
    """The last place in `text` up to `low` where a token of the document surely begins.

    Where there is none for `_RUN` bytes, `low` itself, at a character.
    """
    if text.start + low == 0:
        return 0
    for near in (64, _RUN):
        first = max(0, low - near)
        if sure := _sure_places(text.data, first, low):
            return sure[-1]
        if text.start + first == 0:
            return 0
    return _character_start(text.data, low)


def _sure_places(data: bytes, first: int, last: int) -> list[int]:
    """Offsets from `first` to `last` at which a token of the document begins, whatever it is."""
    # One character more on either side, to see what stands around.
    begin = _character_start(data, max(0, first - 4))
    text = data[begin : last + 4].decode(errors="ignore")
    places = []
    for match in _SURE.finditer(text):
        at = match.start()
        if at < len(text) and unicodedata.category(text[at])[0] != "M":
            places.append(begin + len(text[:at].encode()))
    return [place for place in places if first <= place <= last]


@lru_cache(maxsize=8)
def _tokens(vocabulary: Vocabulary, data: bytes) -> tuple[TokenIds, tuple[int, ...]]:
    """The tokens of `data`, and where they begin."""
    tokens, ends = vocabulary.spans(data)
    return tokens, (0, *ends[:-1]) if tokens else ()


def _is_own(vocabulary: Vocabulary, data: bytes, tokens: TokenIds, start: int) -> bool:
    """Whether the text from `start` on is tokenized alike, whatever stands before it."""
    if start < len(data) and is_inside(data, start):
        return False
    end = _character_start(data, min(len(data), start + _ALIKE))
    alone = vocabulary.encode(data[start:end])
    count = len(alone) if end == len(data) else len(alone) // 2
    return alone[:count] == tokens[:count]


def _character_start(data: bytes, offset: int) -> int:
    """The start of the character at `offset`."""
    while 0 < offset < len(data) and is_inside(data, offset):
        offset -= 1
    return offset
