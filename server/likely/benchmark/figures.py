"""All that one run has measured."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from likely.benchmark.documents import DocumentLengths
from likely.benchmark.environment import Environment
from likely.benchmark.hovering import Hovering
from likely.benchmark.keystrokes import Played
from likely.benchmark.memory import TwoServers
from likely.benchmark.passes import Passes
from likely.benchmark.start import Start
from likely.benchmark.timing import Latency

LIKELY_RHYTHM, LIKELY_BURST = "likely_10_keys_per_second", "likely_burst"
LLAMA_RHYTHM, LLAMA_BURST = "llama_cpp_10_keys_per_second", "llama_cpp_burst"
NOTEBOOK = "notebook"
MODEL, DISTILGPT2_SHAPE = "model", "distilgpt2_shape"


@dataclass(frozen=True, slots=True)
class Figures:
    """One run; None for what was not measured. Latencies are in milliseconds.

    `llama_cpp`: why it took no part, None where it did. `typing` by contender, `passes` by model,
    `bandwidth` in bytes per second.
    """

    environment: Environment
    llama_cpp: str | None
    start: Start | None
    memory: TwoServers | None
    documents: DocumentLengths | None
    typing: Mapping[str, Played] | None
    bandwidth: float | None
    passes: Mapping[str, Passes] | None
    accepting: Latency | None
    hovering: Hovering | None

    def to_dict(self) -> dict[str, Any]:
        """What `likely bench --json` prints."""
        return {**asdict(self), "ratios": ratios(self)}


def ratios(figures: Figures) -> dict[str, float]:
    """What stands beside what, within one run; by a name that says which is divided by which."""
    found: dict[str, float] = {}
    typing, passes = figures.typing or {}, figures.passes or {}
    burst, rhythm = typing.get(LIKELY_BURST), typing.get(LIKELY_RHYTHM)
    if burst is not None and (notebook := typing.get(NOTEBOOK)) is not None:
        found["notebook / likely burst, mean"] = (
            notebook.overall.latency.mean / burst.overall.latency.mean
        )
    for ours, theirs, how in (
        (rhythm, typing.get(LLAMA_RHYTHM), "10 keys per second"),
        (burst, typing.get(LLAMA_BURST), "burst"),
    ):
        if ours is not None and theirs is not None:
            mine, other = ours.overall.latency, theirs.overall.latency
            found[f"llama.cpp / likely, {how}, p50"] = other.p50 / mine.p50
            found[f"llama.cpp / likely, {how}, p95"] = other.p95 / mine.p95
    if (own := passes.get(MODEL)) is not None:
        if rhythm is not None:
            latency = rhythm.overall.latency
            found["likely, 10 keys per second, p50 / one row"] = latency.p50 / own.one_row
            found["likely, 10 keys per second, p95 / one row"] = latency.p95 / own.one_row
        if burst is not None:
            found["likely burst, p50 / one row"] = burst.overall.latency.p50 / own.one_row
        found["transformers / likely, one row"] = own.transformers / own.one_row
        if own.llama_cpp is not None:
            found["llama.cpp / likely, one row"] = own.llama_cpp / own.one_row
    if figures.start is not None:
        found["first list / import torch"] = figures.start.first_list / figures.start.import_torch
    if figures.documents is not None:
        found["long / short document, median"] = figures.documents.ratio
    return found
