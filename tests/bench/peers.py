"""Others who answer keystrokes, each in a process of its own: `python peers.py WHO MODEL THREADS`.

`llama.cpp` is llama.cpp on a GGUF file through `llama_cpp`, the prefix of the text before reused;
`notebook` is the notebook's function on a folder: the whole text through plain transformers. The
process reads texts, one JSON string a line, and writes what it proposes after each.
"""

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from likely.models import default_model
from likely.models.reporting import ModelError, Progress

K = 10
_CONTEXT = 2048
_BATCH = 512

Proposals = list[tuple[int, float]]


class UnavailableError(Exception):
    """Why a peer takes no part, and what to do about it."""


class LlamaCpp:
    """The raw next-token distribution of llama.cpp, prefix kept."""

    def __init__(self, gguf: Path, threads: int) -> None:
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

    def propose(self, text: str) -> Proposals:
        """The `K` likeliest next tokens and their probabilities."""
        return self.next_tokens(
            self._llama.tokenize(text.encode(), add_bos=False, special=False)[-_CONTEXT:]
        )

    def next_tokens(self, tokens: list[int]) -> Proposals:
        """See `propose`; only what differs from the tokens before is computed."""
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
        logits = np.ctypeslib.as_array(llama._ctx.get_logits(), shape=(llama.n_vocab(),))
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        top = np.argpartition(probabilities, -K)[-K:]
        ordered = top[np.argsort(-probabilities[top])]
        return [(int(token), float(probabilities[token])) for token in ordered]


class Peer:
    """A peer's process, answering like an editor's server."""

    def __init__(self, who: str, model: Path, threads: int) -> None:
        self._command = (sys.executable, __file__, who, str(model), str(threads))
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, limit=2**20
        )
        await self._read()
        return self

    async def __aexit__(self, *_failure: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()

    async def open(self, text: str) -> Any:
        return await self._propose(text)

    async def press(self, before: str, text: str) -> Any:
        return await self._propose(before + text)

    async def _propose(self, text: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(text).encode() + b"\n")
        return await self._read()

    async def _read(self) -> Any:
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise UnavailableError(f"{' '.join(self._command)} ended")
        return json.loads(line)


def find_gguf(model: str, scratch: Path, progress: Progress) -> Path:
    """The GGUF file that `model` was made from; fetched into `scratch` where it is not there.

    Raises UnavailableError where there is none, or no llama.cpp to run it.
    """
    if importlib.util.find_spec("llama_cpp") is None:
        raise UnavailableError("llama.cpp is not installed (pip install llama-cpp-python)")
    path = Path(model).expanduser()
    if path.suffix.lower() == ".gguf":
        return path
    if model != default_model.NAME:
        raise UnavailableError(f"{model} has no GGUF file for llama.cpp")
    try:
        return default_model.installed_gguf() or default_model.fetch_gguf(scratch, progress)
    except ModelError as error:
        raise UnavailableError(str(error)) from error


def _proposing(who: str, model: Path, threads: int) -> Callable[[str], Proposals]:
    if who == "llama.cpp":
        return LlamaCpp(model, threads).propose
    import torch
    from plain_transformers import PlainTransformers

    torch.set_num_threads(threads)
    plain = PlainTransformers(model)
    return lambda text: plain.next_tokens(text, K)[1]


def main() -> None:
    who, model, threads = sys.argv[1:]
    # Libraries print what they like; the answers have standard output to themselves.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    propose = _proposing(who, Path(model), int(threads))
    print(json.dumps("ready"), file=output, flush=True)
    for line in sys.stdin:
        print(json.dumps(propose(json.loads(line))), file=output, flush=True)


if __name__ == "__main__":
    main()
