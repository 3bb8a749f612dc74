"""One run of the benchmark."""

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from likely.benchmark import MEASUREMENTS
from likely.benchmark.accepting import measure_accepting
from likely.benchmark.contenders import Likely, Notebook
from likely.benchmark.documents import KEYS, DocumentLengths, measure_documents
from likely.benchmark.environment import describe
from likely.benchmark.figures import (
    DISTILGPT2_SHAPE,
    LIKELY_BURST,
    LIKELY_RHYTHM,
    LLAMA_BURST,
    LLAMA_RHYTHM,
    MODEL,
    NOTEBOOK,
    Figures,
)
from likely.benchmark.hovering import measure_hovering
from likely.benchmark.keystrokes import Played, Player, play_all
from likely.benchmark.llama import LlamaCpp, LlamaUnavailableError, find_gguf
from likely.benchmark.memory import TwoServers, memory_of, use
from likely.benchmark.passes import Passes, measure_distilgpt2, measure_passes
from likely.benchmark.plain_transformers import PlainTransformers
from likely.benchmark.server_process import ServerProcess
from likely.benchmark.start import TIMES, measure_start
from likely.benchmark.traces import Trace, make_traces
from likely.engines.local.machine import memory_bandwidth
from likely.models.reporting import Progress
from likely.models.sources import locate

INTERVAL = 0.1
"""Seconds between the keystrokes of somebody who types fast."""
_NOTEBOOK_EVERY = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how often; `keys` are shared by the traces."""

    model: str
    threads: int
    keys: int
    only: Collection[str] = MEASUREMENTS
    starts: int = TIMES


def run(plan: Plan, progress: Progress) -> Figures:
    """Measure. Raises ModelError."""
    environment = describe(plan.model, plan.threads)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="likely-bench-")))
        folder = locate(plan.model, progress=progress)
        cast = _Cast(plan, folder, scratch, progress)
        # Servers first: nothing of this process should share the model with them.
        settings = {
            "model": plan.model,
            "device": "cpu",
            "threads": plan.threads,
            "lookAhead": False,
        }
        start = measure_start(settings, plan.starts, progress) if "start" in plan.only else None
        memory, documents = _two_servers(plan, settings, progress)
        typing = _type(cast, plan, progress) if "typing" in plan.only else None
        bandwidth = passes = None
        if "passes" in plan.only:
            progress("Measuring passes", None)
            bandwidth = memory_bandwidth(plan.threads)
            passes = _passes(cast, scratch, plan.threads, bandwidth)
        accepting = hovering = None
        if "accepting" in plan.only:
            accepting = measure_accepting(cast.likely, cast.traces, progress)
        if "hovering" in plan.only:
            hovering = measure_hovering(cast.likely, cast.traces, progress)
        return Figures(
            environment=environment,
            llama_cpp=cast.llama if (typing or passes) and isinstance(cast.llama, str) else None,
            start=start,
            memory=memory,
            documents=documents,
            typing=typing,
            bandwidth=bandwidth,
            passes=passes,
            accepting=accepting,
            hovering=hovering,
        )


class _Cast:
    """Those who take part, each loaded when it is first needed."""

    def __init__(self, plan: Plan, folder: Path, scratch: Path, progress: Progress) -> None:
        self._plan = plan
        self.folder = folder
        self._scratch = scratch
        self._progress = progress

    @cached_property
    def likely(self) -> Likely:
        self._progress(f"Loading {self._plan.model}", None)
        return Likely(self.folder, self._plan.model, self._plan.threads)

    @cached_property
    def plain(self) -> PlainTransformers:
        self._progress(f"Loading {self._plan.model} with transformers", None)
        return PlainTransformers(self.folder)

    @cached_property
    def traces(self) -> tuple[Trace, ...]:
        return make_traces(max(1, self._plan.keys // 5))

    @cached_property
    def llama(self) -> LlamaCpp | str:
        """llama.cpp, or why it takes no part."""
        self._progress("Loading llama.cpp", None)
        try:
            gguf = find_gguf(self._plan.model, self._scratch, self._progress)
            return LlamaCpp(gguf, self._plan.threads)
        except LlamaUnavailableError as error:
            return str(error)


def _two_servers(
    plan: Plan, settings: Mapping[str, Any], progress: Progress
) -> tuple[TwoServers | None, DocumentLengths | None]:
    """What is measured with two servers side by side."""
    memory = documents = None
    if not {"memory", "documents"} & set(plan.only):
        return memory, documents
    progress("Starting two servers", None)
    with ServerProcess(settings) as first:
        use(first)
        alone = memory_of(first)
        with ServerProcess(settings) as second:
            use(second)
            if "memory" in plan.only:
                memory = TwoServers(alone, memory_of(first), memory_of(second))
            if "documents" in plan.only:
                documents = measure_documents(first, second, min(KEYS, plan.keys), progress)
    return memory, documents


def _type(cast: _Cast, plan: Plan, progress: Progress) -> dict[str, Played]:
    progress(f"Loading {plan.model} again", None)
    rhythm = Likely(cast.folder, plan.model, plan.threads)
    players = [Player(LIKELY_RHYTHM, rhythm, INTERVAL), Player(LIKELY_BURST, cast.likely, 0)]
    if isinstance(cast.llama, LlamaCpp):
        players += [
            Player(LLAMA_RHYTHM, cast.llama, INTERVAL),
            Player(LLAMA_BURST, LlamaCpp(cast.llama.gguf, plan.threads), 0),
        ]
    players.append(Player(NOTEBOOK, Notebook(cast.plain), 0, every=_NOTEBOOK_EVERY))
    return play_all(players, cast.traces, progress)


def _passes(cast: _Cast, scratch: Path, threads: int, bandwidth: float) -> dict[str, Passes]:
    llama = cast.llama if isinstance(cast.llama, LlamaCpp) else None
    return {
        MODEL: measure_passes(cast.folder, cast.likely.model, cast.plain, llama, bandwidth),
        DISTILGPT2_SHAPE: measure_distilgpt2(scratch, threads, bandwidth),
    }
