"""LSP line rules and positions, held against a plain reference on whole strings."""

import re
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likely.text.lines import (
    Lines,
    Position,
    PositionEncoding,
    column,
    split_lines,
    units,
    without_surrogates,
)

ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-16", "utf-32")
# What editors count differently: terminators, false terminators, wide and joined characters.
PIECES = (
    *("a", "b ", "\n", "\r\n", "\r", "\f", "\v", "\x85", "\u2028", "\u2029", "\x1c", "\0"),
    *("é", "e\u0301", "漢", "😀", "👩\u200d👩\u200d👧", "\ufeff", "\ud83d", "\udc00", "𝔘"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
encodings = st.sampled_from(ENCODINGS)


def size(character: str, encoding: PositionEncoding) -> int:
    if encoding == "utf-8":
        return len(character.encode())
    return 1 if encoding == "utf-32" or ord(character) < 0x10000 else 2


def reference_lines(text: str) -> list[str]:
    """Split by walking character by character."""
    lines = [""]
    for index, character in enumerate(text):
        lines[-1] += character
        if character == "\n" or (character == "\r" and text[index + 1 : index + 2] != "\n"):
            lines.append("")
    return lines


def whole_text(lines: Lines) -> str:
    return lines.after(Position(0, 0), 1_000_000).decode()


def reference_index(text: str, position: Position, encoding: PositionEncoding) -> int:
    """The index in the whole string, by walking character by character."""
    line, index = 0, 0
    while line < position.line:
        found = re.compile(r"\r\n|\r|\n").search(text, index)
        if found is None:
            return len(text)
        index, line = found.end(), line + 1
    counted = 0
    while index < len(text) and text[index] not in "\r\n":
        counted += size(text[index], encoding)
        if counted > position.character:
            break
        index += 1
    return index


class Edit(NamedTuple):
    start: Position
    end: Position
    text: str


positions = st.builds(Position, st.integers(0, 6), st.integers(0, 12))
edits = st.lists(st.builds(Edit, positions, positions, texts), max_size=8)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a\n", ""]),
        ("a\r\nb\rc\n\nd", ["a\r\n", "b\r", "c\n", "\n", "d"]),
        ("\r\r\n\n", ["\r", "\r\n", "\n", ""]),
        ("a\fb\u2028c\x85d\x1ce\vf", ["a\fb\u2028c\x85d\x1ce\vf"]),
    ],
)
def test_only_newline_and_carriage_return_end_a_line(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


@pytest.mark.parametrize(
    ("line", "character", "encoding", "index"),
    [
        ("a😀b", 1, "utf-16", 1),
        ("a😀b", 2, "utf-16", 1),  # inside the surrogate pair
        ("a😀b", 3, "utf-16", 2),
        ("a😀b", 4, "utf-8", 1),  # inside the four bytes
        ("a😀b", 5, "utf-8", 2),
        ("a😀b", 2, "utf-32", 2),
        ("é\r\n", 9, "utf-8", 1),  # past the end: before the terminator
        ("ab\r\n", 9, "utf-16", 2),
        ("ab\f\n", 9, "utf-16", 3),
        ("ab", -1, "utf-16", 0),
    ],
)
def test_a_character_becomes_an_index(
    line: str, character: int, encoding: PositionEncoding, index: int
) -> None:
    assert column(line, character, encoding) == index


@given(texts)
def test_lines_are_those_of_the_reference(text: str) -> None:
    assert split_lines(text) == reference_lines(text)


@settings(max_examples=500)
@given(texts, edits, encodings)
def test_edits_applied_to_lines_equal_edits_applied_to_the_whole_text(
    text: str, changes: list[Edit], encoding: PositionEncoding
) -> None:
    lines = Lines(text, encoding)
    whole = without_surrogates(text)
    for change in changes:
        start = reference_index(whole, change.start, encoding)
        end = max(start, reference_index(whole, change.end, encoding))
        lines.replace(change.start, change.end, change.text)
        whole = whole[:start] + without_surrogates(change.text) + whole[end:]
        assert whole_text(lines) == whole
        for number, line in enumerate(reference_lines(whole)):
            content = line.rstrip("\r\n")
            assert lines.clamp(Position(number, 9999)) == (number, units(content, encoding))
        assert lines.clamp(Position(99, 0)).line == len(reference_lines(whole)) - 1


@given(texts, edits, positions, encodings, st.integers(1, 40))
def test_offsets_and_surroundings_equal_those_of_the_whole_text(
    text: str, changes: list[Edit], position: Position, encoding: PositionEncoding, reach: int
) -> None:
    lines = Lines(text, encoding)
    for change in changes:
        lines.replace(change.start, change.end, change.text)
        lines.offset(change.start)  # moves the mark, which must not change any answer
    whole = whole_text(lines)
    index = reference_index(whole, position, encoding)
    offset = len(whole[:index].encode())
    assert lines.offset(position) == offset
    assert lines.offset(lines.clamp(position)) == offset
    assert lines.position(offset) == lines.clamp(position)
    before, after = lines.before(position, reach), lines.after(position, reach)
    assert whole[:index].encode().endswith(before)
    assert len(before) >= min(reach, offset)
    assert whole[index:].encode().startswith(after)
    assert len(after) >= min(reach, len(whole[index:].encode()))
    before.decode()
    after.decode()


@given(texts, encodings, st.integers(0, 60))
def test_every_byte_offset_has_a_position_at_or_before_it(
    text: str, encoding: PositionEncoding, offset: int
) -> None:
    lines = Lines(text, encoding)
    total = len(whole_text(lines).encode())
    found = lines.offset(lines.position(offset))
    assert found <= offset
    # Nothing but a cut character or terminator may lie between.
    assert min(offset, total) - found <= 3


@given(texts, encodings)
def test_units_are_the_sum_over_characters(text: str, encoding: PositionEncoding) -> None:
    text = without_surrogates(text)
    assert units(text, encoding) == sum(size(character, encoding) for character in text)


def test_a_line_of_five_megabytes_is_read_and_edited_at_once() -> None:
    lines = Lines("é" + "x" * 5_000_000, "utf-16")
    end = Position(0, 10_000_000)
    lines.replace(end, end, " y")
    assert lines.offset(end) == 5_000_004
    assert lines.before(end, 5) == b"xxx y"
    assert lines.clamp(end) == Position(0, 5_000_003)


@pytest.mark.parametrize(
    ("text", "start", "end", "inserted", "lines"),
    [
        ("a\rb\nc", (1, 0), (1, 1), "", ["a\r\n", "c"]),  # a deletion joins \r and \n
        ("a\rb", (1, 0), (1, 0), "\n", ["a\r\n", "b"]),
        ("a\rb", (1, 0), (1, 1), "\n", ["a\r\n", ""]),
        ("a\n\nb", (1, 0), (1, 0), "\r", ["a\n", "\r\n", "b"]),
        ("a\nb", (0, 1), (0, 1), "x\r", ["ax\r\n", "b"]),
        ("a\r\nb", (0, 1), (0, 1), "\r", ["a\r", "\r\n", "b"]),
        ("a\r\nb", (0, 9), (1, 0), "", ["ab"]),
        ("a\nb\nc", (0, 1), (2, 0), "\f", ["a\fc"]),
        ("a", (0, 1), (0, 1), "\r", ["a\r", ""]),
        ("a\nb", (1, 1), (0, 1), "x", ["a\n", "bx"]),  # a reversed range is its start
        ("a", (7, 7), (9, 9), "b", ["ab"]),
    ],
)
def test_an_edit_changes_lines(
    text: str, start: tuple[int, int], end: tuple[int, int], inserted: str, lines: list[str]
) -> None:
    document = Lines(text, "utf-16")
    document.replace(Position(*start), Position(*end), inserted)
    expected = Lines("".join(lines), "utf-16")
    assert whole_text(document) == "".join(lines)
    for number, line in enumerate(lines):
        end_of_line = Position(number, len(line.rstrip("\r\n")))
        assert document.clamp(Position(number, 99)) == end_of_line
        assert document.offset(end_of_line) == expected.offset(end_of_line)
    assert document.clamp(Position(99, 0)).line == len(lines) - 1
