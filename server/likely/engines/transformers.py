"""Any causal language model of transformers: slower than our own passes, and general."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likely.engines.engine import Work
from likely.engines.softmax import (
    ROWS_TOGETHER,
    Scorer,
    next_token_distributions,
    use_threads,
)
from likely.models.reporting import ModelError, first_line
from likely.prediction.question import Distribution, LanguageModel, Passage, Scores
from likely.text.vocabulary import TokenIds


class Modules:
    """The modules of one model as transformers made them, with what they say of themselves."""

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
        loaded, info = answer
        # What is missing would be random; tied weights do not count as missing.
        if missing := sorted(info["missing_keys"]):
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ModelError(
                f"{folder}: the weights lack {missing[0]}{others}; fetch the model again"
            )
        self.run = loaded.to(device).eval()
        self.device = device
        config = loaded.config.get_text_config()
        self.max_positions = int(getattr(config, "max_position_embeddings", None) or 1024)
        self.vocabulary_size = int(loaded.get_output_embeddings().weight.shape[0])

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """The names of the weights, and the weights."""
        named: Iterable[tuple[str, Tensor]] = self.run.named_parameters()
        return named


class TransformersEngine:
    """Passes through transformers' own modules, with one branch of keys and values kept."""

    def __init__(
        self,
        model: LanguageModel,
        modules: Modules,
        *,
        description: str,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.description = description
        self.rows_computed = 0
        self._modules = modules
        self._threads = threads
        self._branch: tuple[TokenIds, Any] | None = None

    def distributions(self, prefixes: Sequence[TokenIds], work: Work) -> list[Distribution]:
        """See `Engine`."""
        use_threads(self._threads)
        with torch.inference_mode():
            rows = [self._logits(prefix, work.poll) for prefix in prefixes]
            return next_token_distributions(torch.cat(rows))

    def scores(self, passage: Passage, work: Work) -> Scores:
        """See `Engine`."""
        use_threads(self._threads)
        scorer = Scorer(passage)
        tokens = passage.tokens
        with torch.inference_mode():
            for end in range(passage.start, len(tokens) + 1, ROWS_TOGETHER):
                last = min(end + ROWS_TOGETHER - 1, len(tokens))
                scorer.add(self._logits(tokens[:last], work.poll, last - end + 1))
        return scorer.scores()

    def _logits(self, prefix: TokenIds, poll: Callable[[], None], count: int = 1) -> Tensor:
        """Raw logits after a prefix and those shorter by 1, ..., count - 1 tokens, shortest first.

        Shape (count, vocabulary size).
        """
        poll()
        known, cache = self._reusable(prefix, len(prefix) - count)
        self._branch = None  # a pass changes the cache in place
        self.rows_computed += len(prefix) - known
        answer = self._modules.run(
            input_ids=torch.tensor([prefix[known:]], device=self._modules.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=count,
        )
        if answer.get("past_key_values") is not None:
            self._branch = (prefix, answer.past_key_values)
        rows: Tensor = answer.logits[0, -count:].float()
        return rows

    def _reusable(self, prefix: TokenIds, most: int) -> tuple[int, Any]:
        """How many tokens of `prefix` the branch holds, `most` at most, and its cache cut back."""
        if self._branch is None:
            return 0, None
        tokens, cache = self._branch
        shared = 0
        for old, new in zip(tokens, prefix[:most], strict=False):
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
        """See `Engine`."""
        self._branch = None


def _can_crop(cache: Any) -> bool:
    """Whether a cache can be cut back exactly: only where every layer keeps every token."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return isinstance(cache, DynamicCache) and all(
        type(layer) is DynamicLayer for layer in cache.layers
    )
