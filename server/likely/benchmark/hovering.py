"""Hovering over tokens that the model has been through already."""

from collections.abc import Sequence
from dataclasses import dataclass

from likely.benchmark.contenders import OPTIONS, Likely
from likely.benchmark.timing import Latency, latency, seconds_of
from likely.benchmark.traces import Trace
from likely.models.reporting import Progress
from likely.prediction.scoring import read_token
from likely.prediction.window import TextBefore, reading_reach

_EXPECTED = 5
_PLACES = 12


@dataclass(frozen=True, slots=True)
class Hovering:
    """Figures of hovers, each over another place; `without_pass`: the share that needed none."""

    latency: Latency
    without_pass: float


def measure_hovering(likely: Likely, traces: Sequence[Trace], progress: Progress) -> Hovering:
    """Open each text, and hover here and there in it."""
    times: list[float] = []
    passes = 0
    for number, trace in enumerate(traces):
        progress("Hovering", number / len(traces))
        text = trace.opened
        likely.clear()
        likely.answer(text)
        for place in range(_PLACES):
            position = _character_start(text, (place + 1) * len(text) // (_PLACES + 2))
            rows = likely.rows_computed
            times.append(_hover(likely, text[:position], text[position:]))
            passes += likely.rows_computed != rows
    return Hovering(latency(times), 1 - passes / len(times))


def _hover(likely: Likely, text: bytes, after: bytes) -> float:
    size = reading_reach(likely.model)
    start = _character_start(text, max(0, len(text) - size)) if len(text) > size else 0
    before = TextBefore(text[start:], start)
    return seconds_of(
        lambda: read_token(likely.model, before, after, _EXPECTED, OPTIONS.document_start)
    )


def _character_start(text: bytes, position: int) -> int:
    while text[position] & 0xC0 == 0x80:
        position -= 1
    return position
