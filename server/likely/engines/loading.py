"""A model's folder -> the engine that runs it."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likely.engines.engine import NOBODY, Engine
from likely.engines.local.decoders import Gpt2Decoder, LlamaDecoder
from likely.engines.local.prefix_cache import PrefixCache
from likely.engines.local.tree_engine import TreeEngine
from likely.engines.local.weights import Weights, first_broken
from likely.models.reporting import ModelError, Progress, first_line, silent
from likely.prediction.question import LanguageModel
from likely.text.vocabulary import Vocabulary, VocabularyError

MAX_TOKENS = 2048
"""The longest sequence asked about; the memory for keys and values is set aside for it."""


def load(
    folder: Path,
    *,
    name: str,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> Engine:
    """Load the model in `folder` (config.json, safetensors, tokenizer.json).

    float32 on the CPU, float16 or bfloat16 on accelerators. Raises ModelError.
    """
    if threads:
        torch.set_num_threads(threads)
    where = _device(device)
    dtype = torch.float32 if where.type == "cpu" else _accelerator_dtype(where)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    precision = str(dtype).removeprefix("torch.")
    description = f"{name} · {where.type} · {precision}"
    progress(f"Loading {name}", None)

    def check(weights: Iterable[tuple[str, Tensor]]) -> None:
        _check(weights, name, progress)

    engine: Engine
    if (decoder := _decoder(folder, config, where, dtype, check)) is not None:
        max_tokens = min(MAX_TOKENS, decoder.max_positions)
        model = _model(folder, config, name, decoder.vocabulary_size, max_tokens)
        cache = PrefixCache(decoder, torch.empty(0, device=where, dtype=dtype), max_tokens)
        engine = TreeEngine(model, decoder, cache, description=description, threads=threads)
    else:
        from likely.engines.transformers import Modules, TransformersEngine

        modules = Modules(folder, where, dtype)
        check(modules.weights())
        max_tokens = min(MAX_TOKENS, modules.max_positions)
        model = _model(folder, config, name, modules.vocabulary_size, max_tokens)
        engine = TransformersEngine(model, modules, description=description, threads=threads)
    # The first pass sets up threads and kernels and takes several times as long as the next.
    progress(f"Warming up {name}", None)
    _warm_up(engine, folder, f"in {precision} on {where.type}")
    return engine


def _check(named: Iterable[tuple[str, Tensor]], name: str, progress: Progress) -> None:
    """Raise ModelError where a weight is no number: no figure after it would be one."""
    weights = list(named)
    total = sum(tensor.numel() * tensor.element_size() for _, tensor in weights)
    read = 0

    def seen(size: int) -> None:
        nonlocal read
        read += size
        progress(f"Loading {name}", read / total)

    broken = first_broken(weights, seen)
    if broken is not None:
        raise ModelError(
            f"{name}: the weights in {broken} hold NaN or infinity; fetch the model again, or"
            " choose another"
        )


def _misfit(folder: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{folder}: the weights do not fit config.json ({first_line(error)}); fetch the model again"
    )


def _decoder(
    folder: Path,
    config: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    check: Callable[[Iterable[tuple[str, Tensor]]], None],
) -> LlamaDecoder | Gpt2Decoder | None:
    """The decoder of ours for this architecture, None where there is none."""
    for decoder_class in (LlamaDecoder, Gpt2Decoder):
        if decoder_class.fits(config):
            weights = Weights(folder, device=device, dtype=dtype)
            check(weights)
            try:
                return decoder_class(config, weights)
            except KeyError as error:
                raise ModelError(
                    f"{folder}: the weights lack {error.args[0]}; fetch the model again"
                ) from error
            except (TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
                raise _misfit(folder, error) from error
    return None


def _model(
    folder: Path, config: dict[str, Any], name: str, vocabulary_size: int, max_tokens: int
) -> LanguageModel:
    try:
        vocabulary = Vocabulary.from_file(folder / "tokenizer.json", size=vocabulary_size)
    except VocabularyError as error:
        raise ModelError(str(error)) from error
    if len(vocabulary) > vocabulary_size:
        raise ModelError(
            f"{name}: its tokenizer has {len(vocabulary):,} tokens and its weights know"
            f" {vocabulary_size:,}; put the tokenizer.json that belongs to the weights"
            f" into {folder}"
        )
    return LanguageModel(name, vocabulary, max_tokens, _separator(vocabulary, config))


def _warm_up(engine: Engine, folder: Path, where: str) -> None:
    """Make a first pass, and see that it gives figures. Raises ModelError."""
    vocabulary = engine.model.vocabulary
    try:
        (first,) = engine.distributions([(next(iter(vocabulary.encode(b"a")), 0),)], NOBODY)
    except (RuntimeError, IndexError, ValueError) as error:
        raise _misfit(folder, error) from error
    row = first.log_probabilities()
    if len(row) != len(vocabulary):
        raise _misfit(folder, ValueError(f"{len(row):,} logits for {len(vocabulary):,} tokens"))
    if np.isnan(row).any():
        raise ModelError(
            f"{engine.model.name} gives no probabilities here, {where}; set `likely.device` to"
            " cpu, or choose another model"
        )
    engine.clear()


def _device(wanted: str) -> torch.device:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    if (wanted == "cuda" and not cuda) or (wanted == "mps" and not mps):
        raise ModelError(f"no {wanted} device here; set `likely.device` to auto or cpu")
    return torch.device(wanted)


def _accelerator_dtype(device: torch.device) -> torch.dtype:
    bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if bfloat16 else torch.float16


def _separator(vocabulary: Vocabulary, config: dict[str, Any]) -> int | None:
    """What stood between documents in training.

    GPT-2's `<|endoftext|>` kept that meaning in SmolLM2 and Qwen, whose configurations name
    a chat marker as beginning of text; elsewhere the beginning-of-text token it is.
    """
    named = vocabulary.id_of("<|endoftext|>")
    for candidate in (named, config.get("bos_token_id"), config.get("eos_token_id")):
        first = candidate[0] if isinstance(candidate, list) else candidate
        if first is not None and 0 <= int(first) < len(vocabulary):
            return int(first)
    return None
