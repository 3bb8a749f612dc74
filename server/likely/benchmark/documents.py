"""Whether a keystroke in a long document takes longer than in a short one."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from likely.benchmark.server_process import ServerProcess
from likely.benchmark.texts import PROSE
from likely.benchmark.timing import Latency, latency
from likely.models.reporting import Progress

SHORT, LONG = 500, 50_000
"""Lines."""
KEYS = 60
"""Fewer than the first line of the text that is typed has."""

_URI = "file:///document.txt"
_LINE = "Every line of this long document says just the very same thing.\n"
_ALIGNED = 32
"""Lines of 64 bytes: a window's place goes by multiples of a power of two of bytes, so with
this many lines, or a multiple, above the cursor both documents give the model the same work."""


@dataclass(frozen=True, slots=True)
class DocumentLengths:
    """A keystroke's way through the server and back: the change, the question, the list.

    `ratio`: the median over keystrokes of long over short.
    """

    short_lines: int
    long_lines: int
    short: Latency
    long: Latency
    ratio: float


def measure_documents(
    short: ServerProcess, long: ServerProcess, keys: int, progress: Progress
) -> DocumentLengths:
    """Type the same in the middle of two documents, each open in a server of its own.

    `keys` is at most KEYS.
    """
    places = []
    for server, lines in ((short, SHORT), (long, LONG)):
        above = lines // 2 // _ALIGNED * _ALIGNED
        server.open(_URI, _LINE * above + PROSE + _LINE * (lines - above - PROSE.count("\n")))
        line = above + PROSE.count("\n")
        server.complete(_URI, line, 0)
        places.append((server, line))
    times: tuple[list[float], list[float]] = ([], [])
    for number, character in enumerate(PROSE[:keys]):
        progress("Typing in documents", number / keys)
        # The first one asked finds the processor warm or cold: they take turns at it.
        for which in (0, 1) if number % 2 else (1, 0):
            server, line = places[which]
            times[which].append(_keystroke(server, line, number, character))
    return DocumentLengths(
        SHORT, LONG, latency(times[0]), latency(times[1]), _ratio(times[0], times[1])
    )


def _keystroke(server: ServerProcess, line: int, column: int, character: str) -> float:
    began = time.perf_counter()
    server.insert(_URI, line, column, character)
    server.complete(_URI, line, column + 1)
    return time.perf_counter() - began


def _ratio(short: Sequence[float], long: Sequence[float]) -> float:
    return statistics.median(b / a for a, b in zip(short, long, strict=True))
