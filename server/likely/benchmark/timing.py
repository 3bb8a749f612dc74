"""Figures of many measured times."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took, in milliseconds; `count` is how often it was measured."""

    count: int
    p50: float
    p95: float
    max: float
    mean: float


def latency(seconds: Sequence[float]) -> Latency:
    """Summarize times (at least one)."""
    times = MILLISECONDS * np.array(seconds)
    return Latency(
        count=len(times),
        p50=float(np.percentile(times, 50)),
        p95=float(np.percentile(times, 95)),
        max=float(times.max()),
        mean=float(times.mean()),
    )


def seconds_of(act: Callable[[], object]) -> float:
    """How long `act` takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def median_milliseconds(seconds: Sequence[float]) -> float:
    """The median of times."""
    return MILLISECONDS * statistics.median(seconds)
