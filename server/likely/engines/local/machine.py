"""What this machine offers a model."""

import os
import platform
import time
from pathlib import Path

import psutil
import torch

from likely.models.reporting import size_text

_BUFFER_BYTES = 512 * 2**20
"""Much larger than the caches of any processor."""
_READS = 12


def describe() -> list[tuple[str, str]]:
    """Return processor, devices, threads and memory as (subject, value) to show."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    memory = psutil.virtual_memory()
    return [
        ("processor", f"{_processor()}, load {psutil.getloadavg()[0]:.1f}"),
        ("devices", ", ".join(devices)),
        ("threads", f"{torch.get_num_threads()} for torch, {os.cpu_count()} processors"),
        ("memory", f"{size_text(memory.available)} free of {size_text(memory.total)}"),
    ]


def memory_bandwidth() -> float:
    """Return bytes per second at which memory can be read: the best of several reads.

    By as many threads as a pass in this thread would use.
    """
    # Ones and not zeros: untouched pages would all be the same page.
    buffer = torch.ones(_BUFFER_BYTES // 4)
    fastest = float("inf")
    for _ in range(_READS):
        began = time.perf_counter()
        buffer.sum()
        fastest = min(fastest, time.perf_counter() - began)
    return _BUFFER_BYTES / fastest


def _processor() -> str:
    """The processor's name, where the system tells it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
