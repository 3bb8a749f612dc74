"""Plain transformers on the same weights: what our own passes are measured against."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


class PlainTransformers:
    """A model as anybody would load it, in float32 on the CPU."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

        _be_quiet()
        fast: Any = PreTrainedTokenizerFast
        self._tokenizer = fast(tokenizer_file=str(folder / "tokenizer.json"))
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
        self._model = model.eval()
        self._kept: Any = None
        self._cache: Any = None

    def next_tokens(self, text: str, k: int) -> tuple[int, list[tuple[int, float]]]:
        """The notebook's function: a full pass over `text`, softmax, the `k` likeliest.

        Returns the number of tokens and (id, probability) pairs.
        """
        inputs = self._tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            logits = self._model(input_ids=inputs["input_ids"]).logits[0, -1]
        top = torch.topk(torch.softmax(logits, dim=-1), k)
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return inputs["input_ids"].shape[1], list(pairs)

    def keep(self, tokens: Sequence[int]) -> None:
        """Compute the keys and values of a prefix."""
        with torch.inference_mode():
            answer = self._model(input_ids=torch.tensor([list(tokens)]), use_cache=True)
        self._kept = answer.past_key_values
        self.step_back()

    def step(self, token: int) -> None:
        """The distribution after one more token."""
        with torch.inference_mode():
            answer = self._model(
                input_ids=torch.tensor([[token]]), past_key_values=self._cache, use_cache=True
            )
            torch.log_softmax(answer.logits[0, -1], dim=-1)

    def step_back(self) -> None:
        """Back to the prefix that is kept; the library changes its caches in place."""
        self._cache = copy.deepcopy(self._kept)


def write_random_distilgpt2(folder: Path) -> None:
    """Write a model of distilgpt2's shape with random weights, without a tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    _be_quiet()
    GPT2LMHeadModel(GPT2Config(n_layer=6)).save_pretrained(folder)


def _be_quiet() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
