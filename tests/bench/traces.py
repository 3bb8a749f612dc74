"""More ways of typing than `likely bench` has: in the middle of a text, here and there, pasting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from likely.benchmark.keystrokes import beginning_and_rest

INSERTED = """\
 Nobody on board had slept well, and it showed in the way they held on to their cups. The \
student with the glasses said that the next island was the one with the lighthouse, and his \
friend answered that every island had a lighthouse if you waited long enough. The cook put his \
head out of the kitchen, counted the heads at the tables, and went back without a word.
"""

ADDED_TO_CODE = (
    (
        "    counts = Counter(words)\n",
        "    total = sum(counts.values())\n    if total == 0:\n        return counts\n",
    ),
    (
        "    parser = argparse.ArgumentParser(description=__doc__)\n",
        '    parser.add_argument("--ignore", nargs="*", default=[], help="words to leave out")\n',
    ),
    (
        "    width = max(len(word) for word in counts)\n",
        "    if limit < 1:\n        return\n    rows = counts.most_common(limit)\n",
    ),
    (
        "    words = read_words(arguments.path)\n",
        "    words = [word for word in words if word not in set(arguments.ignore)]\n",
    ),
)
"""Where someone jumps to in the code (after this line), and what is typed there."""

PASTED = (
    """ The timetable on the wall said that the boat would call at four more islands before the \
evening, that dogs travelled free of charge, and that hot meals were served until two.""",
    """ Dear Tom, the crossing was calm and I have a window seat. Please water the plants on \
the balcony, and tell the neighbours that the parcel is for them, not for us.""",
    """ On the third page somebody had drawn the coast in pencil, with small crosses for the \
wrecks and a dotted line for the way that the fishing boats took when the sea was high.""",
)

_KEYS_PER_JUMP = 8
_KEYS_PER_PASTE = 20


@dataclass(frozen=True)
class Stretch:
    """What is typed at one place: after `before`, key by key (a paste is one key)."""

    before: str
    typed: Sequence[str]


@dataclass(frozen=True)
class Trace:
    """One way of typing: the text that is opened, and the stretches, each at a new place."""

    name: str
    opened: str
    stretches: tuple[Stretch, ...]


def make_traces(count: int) -> tuple[Trace, ...]:
    """Five traces of at most `count` keystrokes each, none of which types anything twice."""
    (prose, more_prose), (code, more_code) = (beginning_and_rest(n) for n in ("prose", "code"))
    sentence = prose[: prose.rindex(". ") + 1]
    # The document goes on behind the cursor.
    middle = Trace("insertion", prose + more_prose, (Stretch(sentence, INSERTED[:count]),))
    return (
        Trace("prose", prose, (Stretch(prose, more_prose[:count]),)),
        Trace("code", code, (Stretch(code, more_code[:count]),)),
        middle,
        Trace("jumps", code + more_code, tuple(_jumps(code + more_code, count))),
        Trace("paste", sentence, (Stretch(sentence, list(islice(_pasting(), count))),)),
    )


def _jumps(document: str, count: int) -> Iterator[Stretch]:
    """A few characters here, a few there; edits stay and count for what is below them."""
    typed = [0] * len(ADDED_TO_CODE)
    left = count
    while left > 0 and any(done < len(ADDED_TO_CODE[i][1]) for i, done in enumerate(typed)):
        for place, (line, addition) in enumerate(ADDED_TO_CODE):
            keys = addition[typed[place] :][: min(_KEYS_PER_JUMP, left)]
            if keys:
                cursor = document.index(line) + len(line) + typed[place]
                yield Stretch(document[:cursor], keys)
                document = document[:cursor] + keys + document[cursor:]
                typed[place] += len(keys)
                left -= len(keys)


def _pasting() -> Iterator[str]:
    """Typing, and now and then, between two words, a block from the clipboard: one key."""
    blocks = iter(PASTED)
    until_paste = _KEYS_PER_PASTE // 2
    for character in INSERTED:
        if until_paste <= 0 and character == " " and (block := next(blocks, None)):
            until_paste += _KEYS_PER_PASTE
            yield block
        until_paste -= 1
        yield character
