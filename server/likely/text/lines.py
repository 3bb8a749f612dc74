r"""LSP line rules and position <-> byte offset in utf-8, utf-16 and utf-32.

Lines end at \n, \r\n and \r only: `str.splitlines` also breaks at form feed, U+2028 and others,
which are ordinary characters to every editor.
"""

import re
from itertools import pairwise
from typing import Literal, NamedTuple

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]

_TERMINATOR = re.compile(r"\r\n|\r|\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Position(NamedTuple):
    """A place between two characters, in the units that client and server agreed on."""

    line: int
    character: int


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 can hold, by U+FFFD (one UTF-16 unit as well)."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def split_lines(text: str) -> list[str]:
    """Split into lines with their terminators; the last one has none and may be empty."""
    ends = [match.end() for match in _TERMINATOR.finditer(text)]
    return [text[start:end] for start, end in pairwise([0, *ends, len(text)])]


def byte_length(text: str) -> int:
    """The number of UTF-8 bytes of `text`."""
    return len(text) if text.isascii() else len(text.encode())


def units(text: str, encoding: PositionEncoding) -> int:
    """The length of `text` in the units of `encoding`."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    return len(text.encode()) if encoding == "utf-8" else len(text.encode("utf-16-le")) // 2


def column(line: str, character: int, encoding: PositionEncoding) -> int:
    """The index in `line` of a client's `character`: clamped to the line, inside one rounded down.

    The place after a terminator is no place of this line, so the clamp stops before it.
    """
    end = len(line)
    while end and line[end - 1] in "\r\n":
        end -= 1
    character = max(0, character)
    if encoding == "utf-32" or line.isascii():
        return min(character, end)
    # No character is shorter than one unit: a prefix of that many characters is enough.
    prefix = line[: min(character, end)]
    if encoding == "utf-8":
        return len(prefix.encode()[:character].decode(errors="ignore"))
    return len(prefix.encode("utf-16-le")[: 2 * character].decode("utf-16-le", errors="ignore"))


class Lines:
    """A document as its lines, edited in place.

    Edits and look-ups cost what they touch, not what the document holds: the byte offset of a
    line is counted from a mark that stays near the last edit or look-up.
    """

    def __init__(self, text: str, encoding: PositionEncoding) -> None:
        self.encoding: PositionEncoding = encoding
        self._lines = split_lines(without_surrogates(text))
        self._marked_line = 0
        self._marked_offset = 0

    def clamp(self, position: Position) -> Position:
        """The nearest place that exists, in the client's units."""
        line, index = self._locate(position)
        return Position(line, units(self._lines[line][:index], self.encoding))

    def replace(self, start: Position, end: Position, text: str) -> None:
        """Replace what stands between two positions; a reversed range counts as its start."""
        first, from_index = self._locate(start)
        last, to_index = self._locate(end)
        if (last, to_index) < (first, from_index):
            last, to_index = first, from_index
        before = self._lines[first][:from_index]
        after = self._lines[last][to_index:]
        pieces = split_lines(without_surrogates(text))
        if after == "\n" and len(pieces) > 1 and not pieces[-1] and pieces[-2].endswith("\r"):
            # The inserted \r and the \n that stood there are one terminator now.
            pieces.pop()
        pieces[0] = before + pieces[0]
        pieces[-1] += after
        if first and pieces[0] == "\n" and self._lines[first - 1].endswith("\r"):
            first -= 1
            pieces[0] = self._lines[first] + "\n"
        self._seek(first)
        self._lines[first : last + 1] = pieces

    def offset(self, position: Position) -> int:
        """The byte offset of a position in the document."""
        line, index = self._locate(position)
        self._seek(line)
        return self._marked_offset + byte_length(self._lines[line][:index])

    def position(self, offset: int) -> Position:
        """The position of a byte offset: clamped to the document, inside a character rounded down.

        The place inside a \r\n is that before it.
        """
        self._seek_offset(offset)
        line = self._lines[self._marked_line]
        rest = max(0, offset - self._marked_offset)
        index = column(line, rest, "utf-8")
        return Position(self._marked_line, units(line[:index], self.encoding))

    def before(self, position: Position, size: int) -> bytes:
        """The bytes before a position: all, or at least the last `size`, cut between characters."""
        number, index = self._locate(position)
        pieces: list[bytes] = []
        gathered = 0
        while True:
            # No character is shorter than one byte: so many characters are enough.
            piece = self._lines[number][max(0, index - (size - gathered)) : index].encode()
            pieces.append(piece)
            gathered += len(piece)
            if gathered >= size or number == 0:
                break
            number -= 1
            index = len(self._lines[number])
        return b"".join(reversed(pieces))

    def after(self, position: Position, size: int) -> bytes:
        """The bytes after a position: all, or at least `size`, cut between characters."""
        number, index = self._locate(position)
        pieces: list[bytes] = []
        gathered = 0
        while gathered < size and number < len(self._lines):
            piece = self._lines[number][index : index + size - gathered].encode()
            pieces.append(piece)
            gathered += len(piece)
            number += 1
            index = 0
        return b"".join(pieces)

    def _locate(self, position: Position) -> tuple[int, int]:
        """The line and the index in it of the nearest place that exists."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        if position.line < 0:
            return 0, 0
        line = self._lines[position.line]
        return position.line, column(line, position.character, self.encoding)

    def _seek(self, line: int) -> None:
        """Move the mark to the start of `line`."""
        lines = self._lines
        while self._marked_line < line:
            self._marked_offset += byte_length(lines[self._marked_line])
            self._marked_line += 1
        while self._marked_line > line:
            self._marked_line -= 1
            self._marked_offset -= byte_length(lines[self._marked_line])

    def _seek_offset(self, offset: int) -> None:
        """Move the mark to the start of the line that holds `offset`."""
        while self._marked_line and self._marked_offset > offset:
            self._seek(self._marked_line - 1)
        while self._marked_line < len(self._lines) - 1:
            following = self._marked_offset + byte_length(self._lines[self._marked_line])
            if following > offset:
                break
            self._marked_line += 1
            self._marked_offset = following
