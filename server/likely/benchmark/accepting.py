"""Accepting one candidate after another at a human rhythm."""

import random
import time
from collections.abc import Sequence

from likely.benchmark.contenders import Likely
from likely.benchmark.timing import Latency, latency
from likely.benchmark.traces import Trace
from likely.models.reporting import Progress

RHYTHM = 0.1
"""Seconds between a list and the choice from it."""
_IN_A_ROW = 6
_STARTS = 2
_SEED = 1


def measure_accepting(likely: Likely, traces: Sequence[Trace], progress: Progress) -> Latency:
    """How long the list after an accepted candidate takes, counted from the choice.

    What is accepted is drawn by probability: the likely candidates often, others sometimes.
    """
    chance = random.Random(_SEED)  # noqa: S311 - no secrets here
    starts = [
        trace.keystrokes[place * (len(trace.keystrokes) - 1) // _STARTS].text
        for trace in traces
        for place in range(_STARTS)
    ]
    times: list[float] = []
    for number, text in enumerate(starts):
        progress("Accepting candidates", number / len(starts))
        likely.clear()
        prediction = likely.answer(text)
        for _ in range(_IN_A_ROW):
            due = time.perf_counter() + RHYTHM
            likely.rest(text, due)
            (chosen,) = chance.choices(
                prediction.candidates, [c.probability for c in prediction.candidates]
            )
            text += chosen.insertion
            prediction = likely.answer(text)
            times.append(time.perf_counter() - due)
    return latency(times)
