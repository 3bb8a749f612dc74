"""`likely predict`: the next-token table."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from likely.cli.model_options import model_options
from likely.cli.saying import note

if TYPE_CHECKING:
    from likely.prediction.options import DocumentStart


@click.command()
@click.argument("text")
@click.option(
    "-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many tokens."
)
@click.option(
    "--mode",
    type=click.Choice(["raw", "exact"]),
    default="raw",
    show_default=True,
    help="raw: after the tokens of TEXT; exact: after its characters.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@model_options
def predict(
    text: str,
    k: int,
    mode: Literal["raw", "exact"],
    as_json: bool,
    document_start: DocumentStart,
    context_tokens: int | None,
    **options: Any,
) -> None:
    """Show the most likely next tokens after TEXT.

    TEXT "-" reads standard input, without the line end that `echo` puts at its end.
    """
    data = _standard_input() if text == "-" else os.fsencode(text)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"TEXT is not UTF-8 at byte {error.start}.") from None
    from likely import next_tokens

    driver = next_tokens.loaded(**options)
    if context_tokens is not None and context_tokens > driver.model.max_tokens:
        note(
            f"{driver.model.name} sees at most {driver.model.max_tokens:,} tokens, and not"
            f" the {context_tokens:,} of --context-tokens"
        )
    table = next_tokens.predict(
        driver,
        data,
        min(k, len(driver.model.vocabulary)),
        mode=mode,
        document_start=document_start,
        context_tokens=context_tokens,
    )
    if as_json:
        found = json.dumps(table.to_dict(), ensure_ascii=False) + "\n"
        sys.stdout.buffer.write(found.encode())
        return
    from likely.terminal import print_table

    print_table(table.table())


def _standard_input() -> bytes:
    """Standard input without one line end at its end, which no phrase is meant to have."""
    data = sys.stdin.buffer.read()
    return data[: -2 if data.endswith(b"\r\n") else -1] if data.endswith(b"\n") else data
