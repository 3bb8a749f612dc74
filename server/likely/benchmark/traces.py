"""What somebody types: the text before the cursor, keystroke by keystroke."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from likely.benchmark.texts import ADDED_TO_CODE, CODE, INSERTED, PASTED, PROSE

_PROSE_CONTEXT, _CODE_CONTEXT = 1150, 900
"""Characters before the first keystroke: about 250 tokens."""
_KEYS_PER_JUMP = 8
_KEYS_PER_PASTE = 20


@dataclass(frozen=True, slots=True)
class Trace:
    """One way of typing.

    `opened` is the text before the cursor at the start, which may be prepared at leisure;
    `keystrokes` holds the text before the cursor after each keystroke.
    """

    name: str
    opened: bytes
    keystrokes: tuple[bytes, ...]


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


def _trace(name: str, opened: str, texts: Iterator[str], count: int) -> Trace:
    return Trace(name, opened.encode(), tuple(text.encode() for text in islice(texts, count)))


def _typing(text: str, start: int) -> Iterator[str]:
    """What stands in `text` from `start` on, character by character, and so on and on."""
    before = text[:start]
    for character in cycle(text[start:]):
        before += character
        yield before


def _jumping() -> Iterator[str]:
    """A few characters here, a few there; edits stay and count for what is below them."""
    document = CODE
    typed = [0] * len(ADDED_TO_CODE)
    for place in cycle(range(len(ADDED_TO_CODE))):
        line, addition = ADDED_TO_CODE[place]
        for _ in range(_KEYS_PER_JUMP):
            cursor = document.index(line) + len(line) + typed[place]
            character = addition[typed[place] % len(addition)]
            document = document[:cursor] + character + document[cursor:]
            typed[place] += 1
            yield document[: cursor + 1]


def _pasting(text: str) -> Iterator[str]:
    """Typing with a block from the clipboard now and then, which counts as one keystroke."""
    blocks = cycle(PASTED)
    for number, character in enumerate(cycle(INSERTED), start=1):
        text += next(blocks) if number % _KEYS_PER_PASTE == _KEYS_PER_PASTE // 2 else character
        yield text
