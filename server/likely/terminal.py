"""What people see in a terminal: the next-token table, and progress while a model is prepared."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from likely.text.escaping import line

if TYPE_CHECKING:
    from likely.model.reporting import Progress

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LONGEST_TOKEN = 32
_SHORTEST_BAR, _LONGEST_BAR = 6, 40
_PLAIN_WIDTH = 80
# Work that is shorter than this needs no word in a log.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `bar` is the length of its bar as a share of the longest one."""

    rank: int
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
    console = Console(highlight=False)
    if console.is_terminal:
        _print(table, console, blocks=_can_print("█▏", console.encoding))
    else:
        blocks = _can_print("█▏", sys.stdout.encoding)
        print(plain_table(table, width=console.width, blocks=blocks))  # noqa: T201


def plain_table(table: TokenTable, *, width: int = _PLAIN_WIDTH, blocks: bool = True) -> str:
    """Return the table as aligned text without colours; `blocks`: bars of block characters."""
    output = io.StringIO()
    console = Console(file=output, width=width, highlight=False, color_system=None)
    _print(table, console, blocks=blocks)
    return "\n".join(row.rstrip() for row in output.getvalue().splitlines())


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Show progress on standard error until the block ends.

    In a terminal as a line that goes away; in a log as one line per step, once the work takes
    longer than a moment.
    """
    console = Console(stderr=True, highlight=False)
    if not (console.is_terminal or console.is_jupyter):
        yield _logged()
        return
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


def _print(table: TokenTable, console: Console, *, blocks: bool) -> None:
    rows = table.rows
    tokens = max((min(cell_len(row.token), _LONGEST_TOKEN) for row in rows), default=0)
    ids = max((cell_len(row.ids) for row in rows), default=0)
    taken = 2 + max(tokens, 5) + max(ids, 2) + len("probability") + 4 * 2 + 2
    length = max(_SHORTEST_BAR, min(_LONGEST_BAR, console.width - taken))
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    grid.add_column("#", justify="right", style="dim", no_wrap=True)
    grid.add_column("token", no_wrap=True, overflow="ellipsis", max_width=_LONGEST_TOKEN)
    grid.add_column("id", justify="right", style="dim", no_wrap=True, overflow="ellipsis")
    grid.add_column("probability", justify="right", no_wrap=True)
    grid.add_column("", no_wrap=True, overflow="crop")
    for row in rows:
        grid.add_row(
            str(row.rank),
            Text(row.token, style="bold"),
            Text(row.ids, style="dim"),
            row.percent,
            Text(_bar(row.bar, length, blocks), style="cyan"),
        )
    grid.add_row("", Text("rest", style="dim"), "", Text(table.rest, style="dim"), "")
    console.print(grid)
    console.print(Text(table.caption, style="dim"), soft_wrap=True)


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
