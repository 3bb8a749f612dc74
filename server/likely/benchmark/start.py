"""From the start of the process to the first list."""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, cast

from likely.benchmark.server_process import ServerProcess
from likely.models.reporting import Progress

TIMES = 3
_URI = "file:///start.txt"
_PHRASE = "This weekend I plan to"
_IMPORT_TORCH = "import torch; print(flush=True)"


@dataclass(frozen=True, slots=True)
class Start:
    """Medians in seconds, each from the start of a process.

    `initialized`: the server has answered `initialize`. `ready`: it has loaded the model.
    `first_list`: its first candidates are here. `import_torch`: another process has imported
    torch, and nothing else.
    """

    times: int
    initialized: float
    ready: float
    first_list: float
    import_torch: float


def measure_start(settings: Mapping[str, Any], times: int, progress: Progress) -> Start:
    """Start servers, and processes that only import torch, in turns.

    A first one that finds its files on the disk and not in memory does not move the median.
    """
    torch, servers = [], []
    for turn in range(times):
        progress("Starting servers", turn / times)
        torch.append(_import_torch())
        servers.append(_start(settings))
    initialized, ready, first = (statistics.median(column) for column in zip(*servers, strict=True))
    return Start(times, initialized, ready, first, statistics.median(torch))


def _import_torch() -> float:
    began = time.perf_counter()
    command = (sys.executable, "-c", _IMPORT_TORCH)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        cast("IO[bytes]", process.stdout).readline()
        return time.perf_counter() - began


def _start(settings: Mapping[str, Any]) -> tuple[float, float, float]:
    with ServerProcess(settings) as server:
        ready = time.perf_counter()
        server.open(_URI, _PHRASE)
        server.complete(_URI, 0, len(_PHRASE))
        first = time.perf_counter()
        return server.initialized - server.started, ready - server.started, first - server.started
