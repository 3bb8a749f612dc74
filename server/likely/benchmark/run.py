"""One run of `likely bench`, and its table."""

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from rich.console import Console
from rich.table import Table

from likely.benchmark.editor import Editor
from likely.benchmark.keystrokes import FELT, Latency, beginning_and_rest, latency, play
from likely.engines.engine import NOBODY, Engine
from likely.models.reporting import Progress
from likely.models.weights_file import bytes_per_pass

RHYTHMS = {"10 keys/s": 0.1, "burst": 0.0}  # seconds between keys
PREFIX = 256  # tokens, at a warm prefix


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. `typing` is by text and rhythm; `first_list`: seconds from a server's start.

    In milliseconds: `row`, one token at a warm prefix; its `floor`, bytes of weights /
    `bandwidth` (bytes per second); `prefill`, `PREFIX` tokens at once.
    """

    machine: dict[str, str]
    typing: dict[str, Latency]
    first_list: float
    row: float
    floor: float
    bandwidth: float
    prefill: float


def run(model: str, threads: int | None, keys: int, progress: Progress) -> Figures:
    """Measure. Raises ModelError."""
    from likely.engines.loading import load
    from likely.engines.local.machine import describe, memory_bandwidth
    from likely.models.sources import locate

    folder = locate(model, progress=progress)
    machine = {"model": model, **dict(describe())}
    settings = {"model": model, "device": "cpu", "threads": threads or 0}
    typed, first_list = asyncio.run(type_all(lambda: Editor(settings), keys, progress))
    progress("Measuring passes", None)
    row, prefill = passes(load(folder, name=model, device="cpu", threads=threads))
    floor = 1000 * bytes_per_pass(folder) / (bandwidth := memory_bandwidth())
    return Figures(machine, typed, first_list, row, floor, bandwidth, prefill)


async def type_all(
    editor: Callable[[], Editor], keys: int, progress: Progress
) -> tuple[dict[str, Latency], float]:
    """Latencies by text and rhythm; the median of the seconds from a start to the first list.

    Each is typed in a fresh server: what a server has seen costs it nothing.
    """
    typed, first_lists = {}, []
    for number, (text, rhythm) in enumerate(product(("prose", "code"), RHYTHMS)):
        progress("Typing", number / (2 * len(RHYTHMS)))
        beginning, rest = beginning_and_rest(text)
        async with editor() as server:
            await server.open(beginning)
            first_lists.append(time.perf_counter() - server.started)
            times = await play(server.press, beginning, rest[:keys], RHYTHMS[rhythm])
        typed[f"{text}, {rhythm}"] = latency(times)
    return typed, statistics.median(first_lists)


def passes(engine: Engine) -> tuple[float, float]:
    """Medians of one token at a warm prefix and of a prefill, of random tokens."""
    chance = random.Random(1)  # noqa: S311 - no secrets here
    ids, length = range(len(engine.model.vocabulary)), min(PREFIX, engine.model.max_tokens - 2)
    rows, prefills = [], []
    for _ in range(4):
        prefix = tuple(chance.choices(ids, k=length))
        prefills.append(pass_time(engine, prefix))
        rows += [pass_time(engine, (*prefix, token)) for token in chance.sample(ids, 8)]
    return statistics.median(rows), statistics.median(prefills)


def pass_time(engine: Engine, *prefixes: tuple[int, ...]) -> float:
    """How many milliseconds one pass takes."""
    began = time.perf_counter()
    engine.distributions(prefixes, NOBODY)
    return 1000 * (time.perf_counter() - began)


def print_figures(figures: Figures, console: Console) -> None:
    """Print what was measured, for a terminal of 80 columns."""
    figures_of = ("p50", "p95", "max", f"over {FELT:.0f} ms")
    table = Table("from a key to its list, ms", *figures_of, box=None, pad_edge=False)
    for what, times in figures.typing.items():
        milliseconds = (f"{value:.1f}" for value in (times.p50, times.p95, times.max))
        table.add_row(what, *milliseconds, f"{times.late:.0%}")
    console.print(table)
    console.print(
        f"\none token after {PREFIX} that are kept: {figures.row:.1f} ms"
        f"\nits floor, reading the weights: {figures.floor:.1f} ms"
        f" ({figures.bandwidth / 1e9:.1f} GB/s)"
        f"\n{PREFIX} tokens at once: {figures.prefill:.0f} ms"
        f"\nfrom a server's start to its first list: {figures.first_list:.1f} s\n"
    )
    console.print(" · ".join(figures.machine.values()), style="dim", markup=False)
