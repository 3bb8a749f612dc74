"""A pass beside transformers, llama.cpp and the floor of memory: `python tests/bench/passes.py`.

Also for a model of distilgpt2's shape with random weights. All take turns, so that a machine's
moods hit all alike; figures are medians in milliseconds, best compared by the ratios.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from peers import LlamaCpp, UnavailableError, find_gguf
from plain_transformers import PlainTransformers, write_random_distilgpt2
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, models, pre_tokenizers

from likely.benchmark.run import PREFIX, pass_time
from likely.engines.engine import Engine
from likely.engines.loading import load
from likely.engines.local.machine import memory_bandwidth
from likely.models.sources import locate
from likely.models.weights_file import bytes_per_pass
from likely.terminal import showing_progress

REPEATS = 24
SEVERAL = 4


def measure(
    folder: Path, engine: Engine, plain: PlainTransformers, llama: LlamaCpp | None
) -> dict[str, float]:
    """Passes of one model after a prefix that is kept."""
    chance = random.Random(1)
    ids = range(1, len(engine.model.vocabulary))
    length = min(PREFIX, engine.model.max_tokens - 2)
    prefix, other = (tuple(chance.choices(ids, k=length)) for _ in range(2))
    tokens = iter(chance.sample(ids, (REPEATS + 1) * (SEVERAL + 3)))
    engine.clear()
    pass_time(engine, prefix)
    plain.keep(prefix)

    def step() -> float:
        token = next(tokens)
        seconds = _milliseconds(lambda: plain.step(token))
        plain.step_back()
        return seconds

    measured: dict[str, Callable[[], float]] = {
        "one row": lambda: pass_time(engine, (*prefix, next(tokens))),
        "four rows": lambda: pass_time(engine, *((*prefix, next(tokens)) for _ in range(SEVERAL))),
        "transformers, one token": step,
    }
    if llama is not None:
        measured["llama.cpp, one token"] = lambda: _milliseconds(
            lambda: llama.next_tokens([*other, next(tokens)])
        )
    times: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(REPEATS + 1):
        for name, act in measured.items():
            seconds = act()
            if turn:  # the first one warms up
                times[name].append(seconds)
    found = {name: statistics.median(seconds) for name, seconds in times.items()}
    found["floor: weights / bandwidth"] = 1000 * bytes_per_pass(folder) / memory_bandwidth()
    return found


def ratios(found: dict[str, float]) -> dict[str, float]:
    """Everything beside one row."""
    return {
        f"{name} / one row": value / found["one row"]
        for name, value in found.items()
        if name != "one row"
    }


def write_distilgpt2_shape(folder: Path) -> None:
    """A model of distilgpt2's shape, random, over bytes alone."""
    write_random_distilgpt2(folder)
    bytes_alone = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(bytes_alone)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))


def _milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    absent = ""
    with TemporaryDirectory(prefix="likely-bench-") as name, showing_progress() as progress:
        scratch = Path(name)
        folder = locate(arguments.model, progress=progress)
        shape = scratch / "distilgpt2-shape"
        write_distilgpt2_shape(shape)
        llama = None
        try:
            gguf = find_gguf(arguments.model, scratch, progress)
            llama = LlamaCpp(gguf, arguments.threads)
        except UnavailableError as error:
            absent = str(error)
        found = {}
        for model, where in ((arguments.model, folder), ("distilgpt2's shape", shape)):
            engine = load(where, name=model, device="cpu", threads=arguments.threads)
            beside = llama if where is folder else None
            found[model] = measure(where, engine, PlainTransformers(where), beside)
    if arguments.json:
        print(json.dumps({model: {**f, **ratios(f)} for model, f in found.items()}, indent=1))
        return
    table = Table("after a prefix that is kept, ms", *found, box=None, pad_edge=False)
    for what in {**found[arguments.model], **ratios(found[arguments.model])}:
        values = ({**f, **ratios(f)}.get(what) for f in found.values())
        table.add_row(what, *("" if value is None else f"{value:.2f}" for value in values))
    Console().print(table)
    if absent:
        print(f"beside this: {absent}")


if __name__ == "__main__":
    main()
