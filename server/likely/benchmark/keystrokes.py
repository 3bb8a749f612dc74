"""Texts typed at a rhythm, and figures of how long the lists took."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

FELT = 20.0  # milliseconds after which a list is felt to come late
_BEGINNINGS = {"prose": 1150, "code": 900}


@dataclass(frozen=True, slots=True)
class Latency:
    """How long lists took, in milliseconds; `late` is the share of them over `FELT`."""

    count: int
    p50: float
    p95: float
    max: float
    late: float


def latency(seconds: Sequence[float]) -> Latency:
    """Summarize times (at least one)."""
    times = 1000 * np.array(seconds)
    p50, p95, longest = np.percentile(times, (50, 95, 100)).tolist()
    return Latency(len(times), p50, p95, longest, float(np.mean(times > FELT)))


def beginning_and_rest(name: str) -> tuple[str, str]:
    """`prose` or `code`: about 250 tokens, and what is typed after them."""
    text = files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return text[: _BEGINNINGS[name]], text[_BEGINNINGS[name] :]


async def play(
    press: Callable[[str, str], Awaitable[object]],
    before: str,
    typed: Sequence[str],
    interval: float,
) -> list[float]:
    """Type after a text, one key after another; returns the seconds from each to its list.

    `press` takes the text before the cursor and what is inserted. A list that takes longer than
    the interval delays the next key and counts once; at 0 each key follows upon the list before.
    """
    times = []
    due = time.perf_counter()
    for text in typed:
        await asyncio.sleep(due - time.perf_counter())
        pressed = time.perf_counter()
        await press(before, text)
        now = time.perf_counter()
        times.append(now - pressed)
        due = max(due + interval, now)
        before += text
    return times
