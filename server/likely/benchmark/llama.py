"""llama.cpp on the same GGUF file, with the prefix of the text before reused."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from likely.benchmark.contenders import K, sleep_until
from likely.models import default_model
from likely.models.reporting import ModelError, Progress

_CONTEXT = 2048
_BATCH = 512


class LlamaUnavailableError(Exception):
    """Why llama.cpp takes no part, and what to do about it."""


class LlamaCpp:
    """llama.cpp through `llama_cpp`: raw next-token distribution, prefix kept."""

    def __init__(self, gguf: Path, threads: int) -> None:
        self.gguf = gguf
        self.rows_computed = 0
        llama_cpp: Any = importlib.import_module("llama_cpp")
        self._llama: Any = llama_cpp.Llama(
            str(gguf),
            n_ctx=_CONTEXT,
            n_batch=_BATCH,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=False,
            verbose=False,
        )

    def answer(self, text: bytes) -> list[tuple[int, float]]:
        """Propose the `K` likeliest next tokens as (id, probability) pairs."""
        tokens = self._llama.tokenize(text, add_bos=False, special=False)[-_CONTEXT:]
        return self.next_tokens(tokens)

    def next_tokens(self, tokens: list[int]) -> list[tuple[int, float]]:
        """See `answer`; only what differs from the tokens before is computed."""
        llama = self._llama
        kept = 0
        # At least one token must go through the model to give logits.
        for old, new in zip(llama.input_ids[: llama.n_tokens], tokens[:-1], strict=False):
            if old != new:
                break
            kept += 1
        # `eval` drops the keys and values of everything behind `n_tokens`.
        llama.n_tokens = kept
        llama.eval(tokens[kept:])
        self.rows_computed += len(tokens) - kept
        logits = np.ctypeslib.as_array(llama._ctx.get_logits(), shape=(llama.n_vocab(),))
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        top = np.argpartition(probabilities, -K)[-K:]
        ordered = top[np.argsort(-probabilities[top])]
        return [(int(token), float(probabilities[token])) for token in ordered]

    def rest(self, text: bytes, until: float) -> None:
        """See `Contender`; nothing is done ahead."""
        del text
        sleep_until(until)

    def clear(self) -> None:
        """Forget the prefix."""
        self._llama.reset()


def find_gguf(model: str, scratch: Path, progress: Progress) -> Path:
    """The GGUF file that `model` was made from; fetched into `scratch` where it is not there.

    Raises LlamaUnavailableError where there is none, or no llama.cpp to run it.
    """
    if importlib.util.find_spec("llama_cpp") is None:
        raise LlamaUnavailableError("not installed (pip install llama-cpp-python)")
    path = Path(model).expanduser()
    if path.suffix.lower() == ".gguf":
        return path
    if model != default_model.NAME:
        raise LlamaUnavailableError(f"{model} has no GGUF file to compare with")
    try:
        return default_model.installed_gguf() or default_model.fetch_gguf(scratch, progress)
    except ModelError as error:
        raise LlamaUnavailableError(str(error)) from error
