"""The next-token table: made for a text, and shown in a terminal, a notebook or as data."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, overload

from likely import arguments
from likely.prediction.candidates import Candidate, Prediction
from likely.prediction.cursor import predict_at_cursor
from likely.prediction.distribution import percent, standing_before
from likely.prediction.options import CursorOptions, DocumentStart, Mode
from likely.prediction.window import MIN_CONTEXT_TOKENS, TextBefore, whole_reach
from likely.terminal import Row, TokenTable, plain_table, showing_progress
from likely.text.escaping import line
from likely.text.vocabulary import show

if TYPE_CHECKING:
    from likely.engines.engine import Driver

DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_THREADS = 1024
_MODELS_KEPT = 2


class NextTokens(Sequence[Candidate]):
    """The most likely next tokens after a text, most likely first.

    A sequence of candidates with `rest`, the probability mass that they leave out.
    """

    def __init__(self, text: bytes, model: str, mode: Mode, prediction: Prediction) -> None:
        self.text = text
        self.model = model
        self.mode = mode
        self.prediction = prediction

    @overload
    def __getitem__(self, index: int) -> Candidate: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Candidate]: ...

    def __getitem__(self, index: int | slice) -> Candidate | Sequence[Candidate]:
        return self.prediction.candidates[index]

    def __len__(self) -> int:
        return len(self.prediction.candidates)

    @property
    def rest(self) -> float:
        """The probability of everything that is not in the list."""
        return self.prediction.rest

    def table(self) -> TokenTable:
        """Return what a terminal shows."""
        return TokenTable(self.rows(), percent(self.rest), self.caption())

    def rows(self) -> list[Row]:
        """Return the lines of the table, bars scaled to the most likely candidate."""
        longest = max((candidate.probability for candidate in self), default=0.0)
        return [
            Row(
                token=show(candidate.insertion),
                ids=" ".join(map(str, candidate.ids)),
                percent=percent(candidate.probability),
                bar=candidate.probability / longest if longest > 0 else 0.0,
            )
            for candidate in self
        ]

    def caption(self) -> str:
        """Say in one line what the figures are."""
        made = self.prediction
        parts = [line(self.model), made.method]
        if made.fragment_probability is not None:
            fragment = show(made.fragment) or "nothing"
            parts.append(f"given {fragment} ({percent(made.fragment_probability)})")
        tokens = made.context_tokens
        parts.append(f"{tokens} token{'' if tokens == 1 else 's'} of context")
        if before := standing_before(made.before_text):
            parts.append(before)
        if made.entropy is not None:
            parts.append(f"entropy {made.entropy:.2f} bits")
        return " · ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return what `likely predict --json` prints; logarithms are natural, `bytes` in hex."""
        made = self.prediction
        found: dict[str, Any] = {
            "model": self.model,
            "mode": self.mode,
            "text": self.text.decode(errors="replace"),
            "context_tokens": made.context_tokens,
            "before_text": made.before_text,
        }
        if self.mode == "exact":
            found["method"] = made.method
            found["fragment"] = made.fragment.decode(errors="replace")
            found["fragment_probability"] = made.fragment_probability
        found["candidates"] = [
            {
                "rank": rank,
                "ids": list(candidate.ids),
                "text": candidate.text,
                "bytes": candidate.insertion.hex(),
                "probability": candidate.probability,
                "logprob": candidate.logprob,
            }
            for rank, candidate in enumerate(self, 1)
        ]
        found["rest"] = made.rest
        return found

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with one row per candidate, indexed by rank.

        Raises ImportError where pandas is not installed.
        """
        import pandas as pd

        rows = [
            {
                "rank": rank,
                "token": candidate.text,
                "ids": candidate.ids,
                "probability": candidate.probability,
                "logprob": candidate.logprob,
                "surprisal": candidate.surprisal,
            }
            for rank, candidate in enumerate(self, 1)
        ]
        columns = ["rank", "token", "ids", "probability", "logprob", "surprisal"]
        return pd.DataFrame(rows, columns=columns).set_index("rank")

    def __str__(self) -> str:
        return plain_table(self.table())

    # What a Python prompt shows, where a table says more than a constructor call would.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><td style="text-align:right;opacity:.6">{rank}</td>'
            f'<td style="text-align:left"><code>{html.escape(row.token)}</code></td>'
            f'<td style="text-align:right;opacity:.6">{row.ids}</td>'
            f'<td style="text-align:right">{row.percent}</td>'
            '<td style="text-align:left;width:16em"><div style="background:#4c8dd6;height:.8em;'
            f'border-radius:2px;width:{100 * row.bar:.1f}%"></div></td></tr>'
            for rank, row in enumerate(self.rows(), 1)
        )
        return (
            # Tokens with dollar signs are no mathematics to a notebook.
            '<div class="tex2jax_ignore mathjax_ignore">'
            '<table style="color:inherit;white-space:nowrap"><thead><tr><th></th>'
            '<th style="text-align:left">token</th><th>id</th>'
            f"<th>probability</th><th></th></tr></thead><tbody>{body}"
            '<tr><td></td><td style="text-align:left;opacity:.6">rest</td><td></td>'
            f'<td style="text-align:right;opacity:.6">{percent(self.rest)}</td><td></td></tr>'
            f'</tbody></table><div style="opacity:.6">{html.escape(self.caption())}</div></div>'
        )


def predict(
    driver: Driver,
    text: bytes,
    k: int,
    *,
    mode: Mode,
    document_start: DocumentStart,
    context_tokens: int | None,
) -> NextTokens:
    """Return the table of a model for a text (UTF-8)."""
    options = CursorOptions(
        k=k,
        mode=mode,
        context_tokens=context_tokens,
        document_start=document_start,
        # The textbook's list holds tokens as they are, half characters too.
        whole_characters=mode == "exact",
    )
    before = _text_before(text, whole_reach(driver.model, context_tokens))
    prediction = driver.answer(predict_at_cursor(driver.model, before, options))
    return NextTokens(text, driver.model.name, mode, prediction)


def predict_checked(
    phrase: object,
    k: object,
    *,
    model: object,
    mode: Mode,
    document_start: DocumentStart,
    context_tokens: object,
    device: str,
    threads: object,
    revision: object,
    offline: object,
) -> NextTokens:
    """See `likely.predict_next_tokens`; whatever the arguments are, they are checked first."""
    text = arguments.text("phrase", phrase)
    arguments.whole_number("k", k, 1)
    arguments.choice("mode", mode, get_args(Mode))
    arguments.choice("document_start", document_start, get_args(DocumentStart))
    arguments.choice("device", device, DEVICES)
    window = (
        None
        if context_tokens is None
        else arguments.whole_number("context_tokens", context_tokens, MIN_CONTEXT_TOKENS)
    )
    driver = loaded(
        arguments.path_or_name("model", model),
        device,
        None if threads is None else arguments.whole_number("threads", threads, 1, MAX_THREADS),
        arguments.optional_name("revision", revision),
        arguments.truth("offline", offline),
    )
    return predict(
        driver,
        text,
        arguments.whole_number("k", k, 1, len(driver.model.vocabulary)),
        mode=mode,
        document_start=document_start,
        context_tokens=window,
    )


def _text_before(data: bytes, size: int) -> TextBefore:
    start = max(0, len(data) - size)
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return TextBefore(data[start:], start)


@lru_cache(maxsize=_MODELS_KEPT)
def loaded(
    model: str, device: str, threads: int | None, revision: str | None, offline: bool
) -> Driver:
    """Load a model, or take it from an earlier call; progress is shown in the terminal.

    Raises `ModelError`.
    """
    from likely.models.sources import locate

    with showing_progress() as progress:
        folder = locate(model, revision=revision, offline=offline, progress=progress)
        # What is slow to import comes once the model is found.
        from likely.engines.engine import Driver
        from likely.engines.loading import load

        engine = load(folder, name=model, device=device, threads=threads, progress=progress)
        return Driver(engine)
