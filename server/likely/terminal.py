"""What people see in a terminal: the next-token table, and progress while a model is prepared."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

from likely.text.escaping import line

if TYPE_CHECKING:
    from likely.models.reporting import Progress

_EIGHTHS = " ▏▎▍▌▋▊▉"
_GAP = "  "
_SHORTEST_TOKEN, _LONGEST_TOKEN = 5, 32
_LONGEST_IDS = 24
_SHORTEST_BAR, _LONGEST_BAR = 6, 40
_PLAIN_WIDTH = 80
# Work that is shorter than this needs no word in a log.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `bar` is the length of its bar as a share of the longest one."""

    token: str
    ids: str
    percent: str
    bar: float


@dataclass(frozen=True, slots=True)
class TokenTable:
    """The rows, the probability that they leave out, and one line on what the figures are."""

    rows: Sequence[Row]
    rest: str
    caption: str


def print_table(table: TokenTable) -> None:
    """Print the table to standard output: as wide as the terminal, plain where it is none."""
    console = Console(highlight=False, force_jupyter=False)
    coloured = console.is_terminal and console.color_system is not None
    coloured = coloured and not (console.no_color or console.legacy_windows)
    blocks = _can_print("█▏", sys.stdout.encoding)
    lines = _lines(table, console.width, blocks=blocks, paint=click.style if coloured else _plain)
    print("\n".join(lines))  # noqa: T201


def plain_table(table: TokenTable, *, width: int = _PLAIN_WIDTH, blocks: bool = True) -> str:
    """Return the table as aligned text without colours; `blocks`: bars of block characters."""
    return "\n".join(_lines(table, width, blocks=blocks, paint=_plain))


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Show progress on standard error until the block ends.

    In a terminal as a line that goes away; in a log or a notebook as one line per step, once the
    work takes longer than a moment.
    """
    # A notebook passes for a terminal with rich, whose progress leaves its traces in the output.
    if not sys.stderr.isatty():
        yield _logged()
        return
    console = Console(stderr=True, highlight=False, force_jupyter=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        step = _Step(bar, "Starting")

        def report(message: str, fraction: float | None) -> None:
            nonlocal step
            message = line(message)
            if message != step.message:
                step.end()
                step = _Step(bar, message)
            step.reach(fraction)

        yield report


class _Step:
    """One line of progress; its bar pulses until a fraction is known."""

    def __init__(self, bar: Bar, message: str) -> None:
        self.message = message
        self._bar = bar
        self._task = bar.add_task(message, total=None)

    def reach(self, fraction: float | None) -> None:
        if fraction is not None:
            self._bar.update(self._task, completed=fraction, total=1.0)

    def end(self) -> None:
        self._bar.remove_task(self._task)


def _logged() -> Progress:
    began = time.monotonic()
    last = ""

    def report(message: str, _fraction: float | None) -> None:
        nonlocal last
        if message != last and time.monotonic() - began > _PATIENCE_SECONDS:
            last = message
            print(line(message), file=sys.stderr, flush=True)  # noqa: T201

    return report


def _lines(table: TokenTable, width: int, *, blocks: bool, paint: Paint) -> Iterator[str]:
    """The lines of the table, the rest and the caption; `paint` puts text in colour.

    Not rich's table, which takes a minute for a whole vocabulary.
    """
    rows = table.rows
    ranks = max(1, len(str(len(rows))))
    ids = max([2, *(min(len(row.ids), _LONGEST_IDS) for row in rows)])
    others = ranks + ids + len("probability") + 4 * len(_GAP) + _SHORTEST_BAR
    longest = max(_SHORTEST_TOKEN, min(_LONGEST_TOKEN, width - others))
    tokens = max([_SHORTEST_TOKEN, *(min(cell_len(row.token), longest) for row in rows)])
    length = max(_SHORTEST_BAR, min(_LONGEST_BAR, width - others - tokens + _SHORTEST_BAR - 2))

    def heading(rank: str, token: str, identifiers: str, figure: str) -> str:
        cells = (rank.rjust(ranks), token.ljust(tokens), identifiers.rjust(ids), figure.rjust(11))
        return paint(_GAP.join(cells).rstrip(), dim=True)

    yield heading("#", "token", "id", "probability")
    for rank, row in enumerate(rows, 1):
        cells = (
            paint(str(rank).rjust(ranks), dim=True),
            paint(_fitted(row.token, tokens), bold=True),
            paint(_fitted(row.ids, ids, right=True), dim=True),
            row.percent.rjust(11),
            paint(_bar(row.bar, length, blocks), fg="cyan"),
        )
        yield _GAP.join(cells)
    yield heading("", "rest", "", table.rest)
    yield paint(table.caption, dim=True)


class Paint(Protocol):
    """What `click.style` does; text without any colour is as good."""

    def __call__(
        self, text: str, *, fg: str | None = None, bold: bool | None = None, dim: bool | None = None
    ) -> str:
        """Put text in colour."""
        ...


def _plain(
    text: str, *, fg: str | None = None, bold: bool | None = None, dim: bool | None = None
) -> str:
    del fg, bold, dim
    return text


def _fitted(text: str, width: int, *, right: bool = False) -> str:
    """Text in a column: filled with spaces, or cut where it is too wide."""
    missing = width - cell_len(text)
    if missing < 0:
        text = set_cell_size(text, width - 1) + "…"
        missing = 0
    return " " * missing + text if right else text + " " * missing


def _bar(share: float, length: int, blocks: bool) -> str:
    if not blocks:
        return "#" * max(1, round(share * length))
    eighths = max(1, round(share * length * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _can_print(sample: str, encoding: str) -> bool:
    try:
        sample.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
