"""What this machine offers a model."""

import os

import psutil
import torch

from likely.model.reporting import size_text


def describe() -> list[tuple[str, str]]:
    """Return devices, threads and memory as (subject, value) to show."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    memory = psutil.virtual_memory()
    return [
        ("devices", ", ".join(devices)),
        ("threads", f"{torch.get_num_threads()} for torch, {os.cpu_count()} processors"),
        ("memory", f"{size_text(memory.available)} free of {size_text(memory.total)}"),
    ]
