"""Likely shows how likely every token is, while you type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from os import PathLike

    from likely.next_tokens import NextTokens

__all__ = ["__version__", "predict_next_tokens"]

__version__ = "0.1.0"


def predict_next_tokens(
    phrase: str | bytes,
    k: int = 10,
    *,
    model: str | PathLike[str] = "smollm2-135m",
    mode: Literal["raw", "exact"] = "raw",
    document_start: Literal["auto", "none", "bos", "space"] = "none",
    context_tokens: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    revision: str | None = None,
    offline: bool = False,
) -> NextTokens:
    """Return the `k` most likely next tokens after `phrase`, with their probabilities.

    The result is a sequence of candidates that shows itself as a table; each has `text`, `ids`,
    `probability`, `logprob` (natural) and `surprisal` (bits). `k` is at most the vocabulary;
    the model sees the last `context_tokens` (at least 16), or as many as it can take.
    `document_start`: what stands before the phrase; "none" adds nothing to what the tokenizer
    itself puts there, "auto" is what suits the model and what editors show.

    The model is loaded at the first call and kept. Raises TypeError and ValueError for arguments
    that cannot be, `likely.models.sources.ModelError` for a model that cannot be had.
    """
    # Imported here, so that the language server starts without any of it.
    from likely.next_tokens import predict_checked

    return predict_checked(
        phrase,
        k,
        model=model,
        mode=mode,
        document_start=document_start,
        context_tokens=context_tokens,
        device=device,
        threads=threads,
        revision=revision,
        offline=offline,
    )
