"""What the figures depend on: the machine and the versions."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from likely import __version__

_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "pygls")


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the versions; `load` is the system's one-minute load at the start."""

    model: str
    processor: str
    processors: int
    threads: int
    system: str
    load: float | None
    versions: dict[str, str]


def describe(model: str, threads: int) -> Environment:
    """Look at the machine."""
    versions = {"likely": __version__, "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in _LIBRARIES}
    if util.find_spec("llama_cpp") is not None:
        versions["llama-cpp-python"] = metadata.version("llama-cpp-python")
    return Environment(
        model=model,
        processor=_processor(),
        processors=os.cpu_count() or 1,
        threads=threads,
        system=f"{platform.system()} {platform.machine()}",
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        versions=versions,
    )


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
