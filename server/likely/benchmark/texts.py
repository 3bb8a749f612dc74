"""The texts that the typing traces are made of; written for this."""

PROSE = """\
The ferry left the harbour a little after six, when the fog was still lying on the water and \
the gulls had not yet decided whether the day was worth their trouble. Anna stood at the rail \
with a paper cup of coffee that she did not really want, and watched the lights of the town \
become smaller. She had promised her brother that she would come back before the winter, and \
she had promised herself that she would not think about the house until the boat was out of \
sight of it.

There were only a few other passengers. A man in a yellow coat slept across three seats with \
his boots on, two students argued quietly about a map, and an old woman fed the crumbs of her \
breakfast to a dog that nobody seemed to own. The engine made a sound like someone counting \
under their breath. Every now and then the captain said something over the loudspeaker, but \
the wind took most of the words away, and nobody asked him to repeat them.

By the time the sun came through, the island was only a line between the sea and the sky. \
Anna opened her notebook and wrote down the date, the weather and the name of the ship, as \
her father had always done. Then she tried to describe the colour of the water, and found \
that she could not do it without comparing it to something else. It was green where the \
bottom was sand and almost black where the rocks began, and in between it had the colour of \
old bottles. She crossed out the last sentence and started again with a simpler one.
"""

INSERTED = """\
 Nobody on board had slept well, and it showed in the way they held on to their cups. The \
student with the glasses said that the next island was the one with the lighthouse, and his \
friend answered that every island had a lighthouse if you waited long enough.
"""

CODE = '''\
"""Count the words of a text file and print the most common ones."""

import argparse
import re
from collections import Counter
from pathlib import Path

WORD = re.compile(r"[a-z']+")


def read_words(path: Path) -> list[str]:
    """Return all words of the file in lower case."""
    text = path.read_text(encoding="utf-8")
    return WORD.findall(text.lower())


def count_words(words: list[str], minimum: int = 1) -> Counter[str]:
    """Count how often each word appears, leaving out the rare ones."""
    counts = Counter(words)
    for word, count in list(counts.items()):
        if count < minimum:
            del counts[word]
    return counts


def print_table(counts: Counter[str], limit: int) -> None:
    """Print the most common words, one in a line."""
    width = max(len(word) for word in counts)
    for word, count in counts.most_common(limit):
        print(f"{word:<{width}} {count:>6}")


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="the file to read")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--minimum", type=int, default=2)
    arguments = parser.parse_args()
    words = read_words(arguments.path)
    counts = count_words(words, arguments.minimum)
    if not counts:
        print("There are no words in this file.")
        return
    print_table(counts, arguments.limit)


if __name__ == "__main__":
    main()
'''

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
"""Where someone jumps to in `CODE` (after this line), and what is typed there."""

PASTED = (
    """ The timetable on the wall said that the boat would call at four more islands before the \
evening, that dogs travelled free of charge, and that hot meals were served until two.""",
    """ Dear Tom, the crossing was calm and I have a window seat. Please water the plants on \
the balcony, and tell the neighbours that the parcel is for them, not for us.""",
    """ On the third page somebody had drawn the coast in pencil, with small crosses for the \
wrecks and a dotted line for the way that the fishing boats took when the sea was high.""",
)
