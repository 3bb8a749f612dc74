"""Idle work: what will be asked next goes through the model before anyone asks."""

from collections.abc import Iterator

import psutil
from lsprotocol import types

from likely.lsp import asking
from likely.lsp.documents import Document
from likely.lsp.served_model import ServedModel
from likely.lsp.session import Session
from likely.prediction.cursor import CursorOptions
from likely.prediction.predictor import FEW_ROWS, MAX_ROWS, Predictor
from likely.prediction.window import TextBefore

_BYTES_PER_TOKEN = 4
"""Of most texts: so much of a document's beginning is seen from its first character on."""


def prefill_beginning(session: Session, uri: str, document: Document) -> None:
    """Prepare for typing in a document just opened: its first window, wherever in it that is."""
    if (predictor := session.predictor) is not None and session.settings.completion.enabled:
        beginning = document.beginning(_BYTES_PER_TOKEN * session.settings.context_tokens)
        if beginning.strip():
            options = asking.options(session.settings)
            look_ahead_of(session, predictor, uri, TextBefore(beginning, 0), options)


def prefill_before(session: Session, uri: str, document: Document, at: types.Position) -> None:
    """Prepare for an answer where typing goes on after a jump."""
    if (predictor := session.predictor) is not None and session.settings.completion.enabled:
        snapshot = document.snapshot(at, asking.bytes_needed(session.settings, predictor.model))
        options = asking.options(session.settings)
        look_ahead_of(session, predictor, uri, asking.text_before(snapshot), options)


def look_ahead_of(
    session: Session,
    predictor: Predictor[ServedModel],
    uri: str,
    text: TextBefore,
    options: CursorOptions,
) -> None:
    """Compute what the likeliest next keystrokes after `text` will need."""
    if not session.settings.look_ahead:
        return

    def steps() -> Iterator[None]:
        if session.predictor is predictor:
            predictor.model.owner = uri
            max_rows = FEW_ROWS if _on_battery() else MAX_ROWS
            yield from predictor.look_ahead(text, options, max_rows)

    session.when_idle(steps)


def _on_battery() -> bool:
    """Whether the machine is known to run on its battery."""
    if not hasattr(psutil, "sensors_battery"):
        return False
    battery = psutil.sensors_battery()
    return battery is not None and battery.power_plugged is False
