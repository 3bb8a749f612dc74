"""One forward pass beside the floor that memory bandwidth sets."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from likely.benchmark.floor import bytes_per_pass
from likely.benchmark.llama import LlamaCpp
from likely.benchmark.plain_transformers import PlainTransformers, write_random_distilgpt2
from likely.benchmark.timing import MILLISECONDS, median_milliseconds, seconds_of
from likely.engines.loading import CausalLanguageModel, load

PREFIX = 256
"""Tokens whose keys and values are there already."""
_REPEATS = 24
_SEVERAL = 4
_SEED = 1


@dataclass(frozen=True, slots=True)
class Passes:
    """One model's passes after a prefix that is kept; times are medians in milliseconds.

    `floor`: `bytes_read` (the weights) / memory bandwidth. `overhead`: what one row takes
    beyond that. `transformers` is its one-token step with its own cache, `llama_cpp` the same
    of the GGUF file (None where it takes no part).
    """

    bytes_read: int
    floor: float
    one_row: float
    four_rows: float
    transformers: float
    llama_cpp: float | None
    overhead: float
    ratio: float


def measure_passes(
    folder: Path,
    model: CausalLanguageModel,
    plain: PlainTransformers,
    llama: LlamaCpp | None,
    bandwidth: float,
) -> Passes:
    """Measure passes of `model`, in turns with the others; `bandwidth` in bytes per second."""
    chance = random.Random(_SEED)  # noqa: S311 - no secrets here
    length = min(PREFIX, model.max_tokens - 2)
    prefix, *others = (
        tuple(chance.randrange(1, len(model.vocabulary)) for _ in range(length))
        for _ in range(1 if llama is None else 2)
    )
    tokens = iter(chance.sample(range(len(model.vocabulary)), (_REPEATS + 1) * (_SEVERAL + 3)))
    model.clear()
    model.log_probabilities([prefix])
    plain.keep(prefix)

    def rows(count: int) -> float:
        sequences = [(*prefix, next(tokens)) for _ in range(count)]
        return seconds_of(lambda: model.log_probabilities(sequences))

    def transformers_step() -> float:
        token = next(tokens)
        seconds = seconds_of(lambda: plain.step(token))
        plain.step_back()
        return seconds

    measured: dict[str, Callable[[], float]] = {
        "one": lambda: rows(1),
        "four": lambda: rows(_SEVERAL),
        "transformers": transformers_step,
    }
    if llama is not None:
        longer = list(others[0])
        llama.next_tokens(longer)
        measured["llama"] = lambda: seconds_of(lambda: llama.next_tokens([*longer, next(tokens)]))
    times = _in_turns(measured)
    model.clear()
    read = bytes_per_pass(folder)
    floor = MILLISECONDS * read / bandwidth
    one = median_milliseconds(times["one"])
    return Passes(
        bytes_read=read,
        floor=floor,
        one_row=one,
        four_rows=median_milliseconds(times["four"]),
        transformers=median_milliseconds(times["transformers"]),
        llama_cpp=median_milliseconds(times["llama"]) if llama is not None else None,
        overhead=one - floor,
        ratio=one / floor,
    )


def measure_distilgpt2(scratch: Path, threads: int, bandwidth: float) -> Passes:
    """The same for a model of distilgpt2's shape with random weights, made in `scratch`."""
    folder = scratch / "distilgpt2-shape"
    write_random_distilgpt2(folder)
    bytes_alone = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(bytes_alone)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    model = load(folder, name="distilgpt2's shape", device="cpu", threads=threads)
    return measure_passes(folder, model, PlainTransformers(folder), None, bandwidth)


def _in_turns(measured: Mapping[str, Callable[[], float]]) -> dict[str, Sequence[float]]:
    """Measure each again and again, in turns, so that a machine's moods hit all alike."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(_REPEATS + 1):
        for name, measure in measured.items():
            seconds = measure()
            if turn > 0:  # the first one warms up
                times[name].append(seconds)
    return dict(times)
