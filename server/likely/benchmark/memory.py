"""What a server takes of the memory, and what a second one adds."""

from dataclasses import dataclass

import psutil

from likely.benchmark.server_process import ServerProcess
from likely.benchmark.texts import PROSE

_URI = "file:///memory.txt"


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process in bytes; None where the system does not tell.

    `private` is held by this process alone, `shared` also by others (the weights, which are
    mapped from one file), `proportional` counts shared memory divided by who shares it.
    """

    private: int | None
    shared: int | None
    proportional: int | None


@dataclass(frozen=True, slots=True)
class TwoServers:
    """A server alone, and then both of two that run side by side."""

    alone: Memory
    first: Memory
    second: Memory


def use(server: ServerProcess) -> None:
    """Have a list at the end of a text, so that the server holds what it holds in use."""
    server.open(_URI, PROSE)
    server.complete(_URI, PROSE.count("\n"), len(PROSE) - PROSE.rfind("\n") - 1)


def memory_of(server: ServerProcess) -> Memory:
    """The memory of a server now."""
    process = psutil.Process(server.process_id)
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return Memory(None, None, None)
    return Memory(full.uss, full.rss - full.uss, getattr(full, "pss", None))
