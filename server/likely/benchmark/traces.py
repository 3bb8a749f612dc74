"""What somebody types: the text before the cursor, keystroke by keystroke."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple

from likely.benchmark.texts import ADDED_TO_CODE, CODE, INSERTED, PASTED, PROSE

_PROSE_CONTEXT, _CODE_CONTEXT = 1150, 900
"""Characters before the first keystroke: about 250 tokens."""
_KEYS_PER_JUMP = 8
_KEYS_PER_PASTE = 20


class Key(NamedTuple):
    """The text before the cursor after a keystroke; and, if it came from elsewhere, before it."""

    text: bytes
    arrival: bytes | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One way of typing.

    `opened` is the text before the cursor at the start, which may be prepared at leisure.
    """

    name: str
    opened: bytes
    keystrokes: tuple[Key, ...]


def make_traces(count: int) -> tuple[Trace, ...]:
    """Five traces of `count` keystrokes each."""
    sentence = PROSE[: PROSE.index(". ", _PROSE_CONTEXT - 100) + 1]
    return (
        _trace("prose", PROSE[:_PROSE_CONTEXT], _typing(PROSE, _PROSE_CONTEXT), count),
        _trace("code", CODE[:_CODE_CONTEXT], _typing(CODE, _CODE_CONTEXT), count),
        # The document that was opened goes on behind the cursor.
        _trace("insertion", PROSE, _typing(sentence + INSERTED, len(sentence)), count),
        _trace("jumps", CODE, _jumping(), count),
        _trace("paste", sentence, _pasting(sentence), count),
    )


def _trace(name: str, opened: str, keys: Iterator[Key], count: int) -> Trace:
    return Trace(name, opened.encode(), tuple(islice(keys, count)))


def _typing(text: str, start: int) -> Iterator[Key]:
    """What stands in `text` from `start` on, character by character, and so on and on."""
    before = text[:start]
    for character in cycle(text[start:]):
        before += character
        yield Key(before.encode())


def _jumping() -> Iterator[Key]:
    """A few characters here, a few there; edits stay and count for what is below them."""
    document = CODE
    typed = [0] * len(ADDED_TO_CODE)
    for place in cycle(range(len(ADDED_TO_CODE))):
        line, addition = ADDED_TO_CODE[place]
        for number in range(_KEYS_PER_JUMP):
            cursor = document.index(line) + len(line) + typed[place]
            character = addition[typed[place] % len(addition)]
            document = document[:cursor] + character + document[cursor:]
            typed[place] += 1
            text = document[: cursor + 1].encode()
            yield Key(text, document[:cursor].encode() if number == 0 else None)


def _pasting(text: str) -> Iterator[Key]:
    """Typing, and now and then, between two words, a block from the clipboard: one keystroke."""
    blocks = cycle(PASTED)
    until_paste = _KEYS_PER_PASTE // 2
    for character in cycle(INSERTED):
        if until_paste <= 0 and character == " ":
            text += next(blocks)
            until_paste += _KEYS_PER_PASTE
            yield Key(text.encode())
        text += character
        until_paste -= 1
        yield Key(text.encode())
