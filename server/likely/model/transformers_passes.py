"""Any causal language model of transformers: slower than our own passes, and general."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likely.model.reporting import ModelError, first_line
from likely.text.vocabulary import TokenIds


class TransformersPasses:
    """Passes through transformers' own modules, with one branch of keys and values kept."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        # What it would say about missing weights is said below, and in one line.
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            answer: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            raise ModelError(
                f"{folder}: transformers cannot load this model ({first_line(error)});"
                " choose another model"
            ) from error
        model, info = answer
        # What is missing would be random; tied weights do not count as missing.
        if missing := sorted(info["missing_keys"]):
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ModelError(
                f"{folder}: the weights lack {missing[0]}{others}; fetch the model again"
            )
        self._model = model.to(device).eval()
        config = model.config.get_text_config()
        self.max_positions = int(getattr(config, "max_position_embeddings", None) or 1024)
        self.vocabulary_size = int(model.get_output_embeddings().weight.shape[0])
        self.rows_computed = 0
        self._device = device
        self._branch: tuple[TokenIds, Any] | None = None

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """The names of the weights, and the weights."""
        named: Iterable[tuple[str, Tensor]] = self._model.named_parameters()
        return named

    def logits(
        self, sequences: Sequence[TokenIds], poll: Callable[[], None], owner: Hashable
    ) -> Tensor:
        """See `Passes.logits`; `owner` is of no use to a single branch."""
        del owner
        return torch.stack([self._after(sequence, poll) for sequence in sequences])

    def _after(self, sequence: TokenIds, poll: Callable[[], None]) -> Tensor:
        poll()
        known, cache = self._reusable(sequence)
        self._branch = None  # a pass changes the cache in place
        self.rows_computed += len(sequence) - known
        answer = self._model(
            input_ids=torch.tensor([sequence[known:]], device=self._device),
            past_key_values=cache,
            use_cache=True,
        )
        if answer.get("past_key_values") is not None:
            self._branch = (sequence, answer.past_key_values)
        row: Tensor = answer.logits[0, -1].float()
        return row

    def _reusable(self, sequence: TokenIds) -> tuple[int, Any]:
        """How many tokens of `sequence` the branch holds, and its cache cut back to them."""
        if self._branch is None:
            return 0, None
        tokens, cache = self._branch
        shared = 0
        # At least one token must go through the model to give logits.
        for old, new in zip(tokens, sequence[:-1], strict=False):
            if old != new:
                break
            shared += 1
        surplus = len(tokens) - shared
        if shared == 0 or (surplus and not _can_crop(cache)):
            return 0, None
        if surplus:
            cache.crop(-surplus)
        return shared, cache

    def release(self, owner: Hashable) -> None:
        """Forget the branch, whoever it is for."""
        del owner
        self.clear()

    def clear(self) -> None:
        """Forget the branch."""
        self._branch = None


def _can_crop(cache: Any) -> bool:
    """Whether a cache can be cut back exactly: only where every layer keeps every token."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return isinstance(cache, DynamicCache) and all(
        type(layer) is DynamicLayer for layer in cache.layers
    )
