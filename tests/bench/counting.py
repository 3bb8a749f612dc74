"""Servers that count their passes, and keystrokes with what they took."""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likely.benchmark.editor import Editor
from likely.benchmark.keystrokes import latency

SERVER = Path(__file__).with_name("counting_server.py")


@dataclass(frozen=True)
class Keystroke:
    """One key: `seconds` to its list; `rows` of tokens that went through the layers for it."""

    seconds: float
    rows: int


class CountingEditor(Editor):
    """An editor whose server notes its passes."""

    def __init__(self, settings: dict[str, Any], notes: Path, where: Sequence[str] = ()) -> None:
        super().__init__(settings, (sys.executable, str(SERVER), str(notes), *where))
        self._notes = notes
        self._pressed: list[tuple[float, float]] = []

    async def press(self, before: str, text: str) -> list[Any]:
        pressed = time.perf_counter()
        items = await super().press(before, text)
        self._pressed.append((pressed, time.perf_counter()))
        return items

    def keystrokes(self) -> list[Keystroke]:
        """What was pressed so far; a pass belongs to the key during which it began and ended.

        One of look-ahead that a key meets is abandoned, and noted only where it ended.
        """
        passes = []
        for line in self._notes.read_text().splitlines():
            began, ended, rows = line.split()
            passes.append((float(began), float(ended), int(rows)))
        return [
            Keystroke(
                answered - pressed,
                sum(
                    rows for began, ended, rows in passes if pressed <= began and ended <= answered
                ),
            )
            for pressed, answered in self._pressed
        ]


@contextmanager
def counting(settings: dict[str, Any], *where: str) -> Iterator[CountingEditor]:
    """An editor that is still to be started, with a file for its notes."""
    with tempfile.TemporaryDirectory() as folder:
        yield CountingEditor(settings, Path(folder) / "passes", where)


def percentiles(seconds: Sequence[float]) -> list[str]:
    """p50, p95, max in milliseconds; dashes for nothing."""
    if not seconds:
        return ["-"] * 3
    times = latency(seconds)
    return [f"{value:.1f}" for value in (times.p50, times.p95, times.max)]
