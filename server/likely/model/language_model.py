"""Load a model; log-probabilities of the next token after token sequences."""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from likely.model.decoders import Gpt2Decoder, LlamaDecoder
from likely.model.prefix_cache import PrefixCache
from likely.model.reporting import ModelError, Progress, first_line, silent
from likely.model.weights import Weights, first_broken
from likely.prediction.protocol import LogProbabilities
from likely.text.vocabulary import TokenIds, Vocabulary, VocabularyError

MAX_TOKENS = 2048
"""The longest sequence asked about; the memory for keys and values is set aside for it."""

_ROWS_BYTES = 64 * 2**20


class Passes(Protocol):
    """Something that turns token sequences into logits and remembers what it can."""

    max_positions: int
    vocabulary_size: int

    @property
    def rows_computed(self) -> int:
        """Tokens that went through the layers so far."""
        ...

    def logits(
        self, sequences: Sequence[TokenIds], poll: Callable[[], None], owner: Hashable
    ) -> Tensor:
        """Logits after each sequence; shape (len(sequences), vocabulary size), float32."""
        ...

    def release(self, owner: Hashable) -> None:
        """Forget what was computed on behalf of `owner`."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class TreePasses:
    """Passes of a decoder of ours over a tree of tokens."""

    def __init__(self, decoder: LlamaDecoder | Gpt2Decoder, like: Tensor, max_tokens: int) -> None:
        self.max_positions = decoder.max_positions
        self.vocabulary_size = decoder.vocabulary_size
        self._decoder = decoder
        self._cache = PrefixCache(decoder, like, min(max_tokens, decoder.max_positions))
        self.release = self._cache.release
        self.clear = self._cache.clear

    @property
    def rows_computed(self) -> int:
        """Tokens that went through the layers so far."""
        return self._cache.rows_computed

    def logits(
        self, sequences: Sequence[TokenIds], poll: Callable[[], None], owner: Hashable
    ) -> Tensor:
        """See `Passes.logits`."""
        hidden = self._cache.hidden(sequences, poll, owner)
        # The hidden states are kept, so that this is no loss; the head takes as long as layers.
        poll()
        return self._decoder.logits(hidden)


class CausalLanguageModel:
    """A causal language model as prediction sees it; used by one thread at a time.

    `poll` is called between the layers of a pass and may raise to abandon stale work; `owner`
    says on whose behalf (which document) memory is filled, for `release`.
    """

    def __init__(
        self,
        *,
        name: str,
        vocabulary: Vocabulary,
        passes: Passes,
        separator: int | None,
        description: str,
        threads: int | None = None,
    ) -> None:
        self.name = name
        self.vocabulary = vocabulary
        self.separator = separator
        self.description = description
        self.max_tokens = min(MAX_TOKENS, passes.max_positions)
        self.poll: Callable[[], None] = _never
        self.owner: Hashable = None
        self._threads = threads
        self._passes = passes
        self._rows: OrderedDict[TokenIds, LogProbabilities] = OrderedDict()
        self._max_rows = max(16, _ROWS_BYTES // (4 * passes.vocabulary_size))

    @property
    def rows_computed(self) -> int:
        """Tokens that went through the layers so far."""
        return self._passes.rows_computed

    def log_probabilities(self, sequences: Sequence[TokenIds]) -> list[LogProbabilities]:
        """See `likely.prediction.protocol.LanguageModel`."""
        missing = list(dict.fromkeys(s for s in sequences if s not in self._rows))
        fresh: dict[TokenIds, LogProbabilities] = {}
        if missing:
            # Each thread has its own count in torch, and it is not the loading one that runs this.
            if self._threads and torch.get_num_threads() != self._threads:
                torch.set_num_threads(self._threads)
            with torch.inference_mode():
                logits = self._passes.logits(missing, self.poll, self.owner)
                rows = torch.log_softmax(logits, dim=-1).cpu().numpy()
            for sequence, row in zip(missing, rows, strict=True):
                # A copy, so that no row keeps its whole batch alive.
                fresh[sequence] = row.copy() if len(missing) > 1 else row
                fresh[sequence].setflags(write=False)
        result = [fresh[s] if s in fresh else self._rows[s] for s in sequences]
        for sequence, row in zip(sequences, result, strict=True):
            self._rows[sequence] = row
            self._rows.move_to_end(sequence)
        while len(self._rows) > self._max_rows:
            self._rows.popitem(last=False)
        return result

    def knows(self, sequence: TokenIds) -> bool:
        """Whether the row after `sequence` is at hand."""
        return sequence in self._rows

    def release(self, owner: Hashable) -> None:
        """Forget what was computed on behalf of `owner`."""
        self._passes.release(owner)
        self._rows.clear()

    def clear(self) -> None:
        """Forget all that was computed."""
        self._passes.clear()
        self._rows.clear()


def load(
    folder: Path,
    *,
    name: str,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> CausalLanguageModel:
    """Load the model in `folder` (config.json, safetensors, tokenizer.json).

    float32 on the CPU, float16 or bfloat16 on accelerators. Raises ModelError.
    """
    if threads:
        torch.set_num_threads(threads)
    where = _device(device)
    dtype = torch.float32 if where.type == "cpu" else _accelerator_dtype(where)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    progress(f"Loading {name}", None)
    passes = _passes(folder, config, where, dtype, lambda weights: _check(weights, name, progress))
    try:
        vocabulary = Vocabulary.from_file(folder / "tokenizer.json", size=passes.vocabulary_size)
    except VocabularyError as error:
        raise ModelError(str(error)) from error
    if len(vocabulary) > passes.vocabulary_size:
        raise ModelError(
            f"{name}: its tokenizer has {len(vocabulary):,} tokens and its weights know"
            f" {passes.vocabulary_size:,}; put the tokenizer.json that belongs to the weights"
            f" into {folder}"
        )
    model = CausalLanguageModel(
        name=name,
        vocabulary=vocabulary,
        passes=passes,
        separator=_separator(vocabulary, config),
        description=f"{name} · {where.type} · {str(dtype).removeprefix('torch.')}",
        threads=threads,
    )
    # The first pass sets up threads and kernels and takes several times as long as the next.
    progress(f"Warming up {name}", None)
    try:
        (row,) = model.log_probabilities([(next(iter(vocabulary.encode(b"a")), 0),)])
    except (RuntimeError, IndexError, ValueError) as error:
        raise _misfit(folder, error) from error
    if len(row) != len(vocabulary):
        raise _misfit(folder, ValueError(f"{len(row):,} logits for {len(vocabulary):,} tokens"))
    if np.isnan(row).any():
        raise ModelError(
            f"{name} gives no probabilities here, in {str(dtype).removeprefix('torch.')} on"
            f" {where.type}; set `likely.device` to cpu, or choose another model"
        )
    model.clear()
    return model


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


def _passes(
    folder: Path,
    config: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    check: Callable[[Iterable[tuple[str, Tensor]]], None],
) -> Passes:
    for decoder_class in (LlamaDecoder, Gpt2Decoder):
        if decoder_class.fits(config):
            weights = Weights(folder, device=device, dtype=dtype)
            check(weights)
            try:
                decoder = decoder_class(config, weights)
            except KeyError as error:
                raise ModelError(
                    f"{folder}: the weights lack {error.args[0]}; fetch the model again"
                ) from error
            except (TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
                raise _misfit(folder, error) from error
            return TreePasses(decoder, torch.empty(0, device=device, dtype=dtype), MAX_TOKENS)
    from likely.model.transformers_passes import TransformersPasses

    passes = TransformersPasses(folder, device, dtype)
    check(passes.weights())
    return passes


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


def _never() -> None:
    """Work without a caller to grow stale."""
