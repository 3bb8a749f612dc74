"""Idle work: what will be asked next goes through the model before anyone asks."""

import psutil
from lsprotocol import types

from likely.lsp import asking
from likely.lsp.documents import Document
from likely.lsp.session import Session
from likely.prediction.lookahead import LookAhead
from likely.prediction.options import CursorOptions
from likely.prediction.window import TextBefore

MAX_ROWS = 32
"""Rows per look-ahead: after them the machine rests until the next keystroke."""

FEW_ROWS = 8
"""Rows per look-ahead where power is scarce: one pass, for the likeliest candidates."""

_BYTES_PER_TOKEN = 4
"""Of most texts: so much of a document's beginning is seen from its first character on."""


def prefill_beginning(session: Session, uri: str, document: Document) -> None:
    """Prepare for typing in a document just opened: its first window, wherever in it that is."""
    beginning = document.beginning(_BYTES_PER_TOKEN * (session.settings.cursor.context_tokens or 0))
    if session.settings.completion.enabled and beginning.strip():
        look_ahead(session, uri, TextBefore(beginning, 0), asking.options(session.settings))


def prefill_before(session: Session, uri: str, document: Document, at: types.Position) -> None:
    """Prepare for an answer where typing goes on after a jump."""
    if (running := session.running) is not None and session.settings.completion.enabled:
        snapshot = document.snapshot(at, asking.bytes_needed(session.settings, running.model))
        document.place = snapshot.offset
        text = asking.text_before(snapshot)
        look_ahead(session, uri, text, asking.options(session.settings))


def look_ahead(session: Session, uri: str, text: TextBefore, options: CursorOptions) -> None:
    """Compute what the likeliest next keystrokes after `text` will need."""
    running = session.running
    if running is not None and session.settings.look_ahead:
        rows = FEW_ROWS if _on_battery() else MAX_ROWS
        session.look_ahead(uri, LookAhead(running.answers, text, options), rows)


def _on_battery() -> bool:
    """Whether the machine is known to run on its battery."""
    if not hasattr(psutil, "sensors_battery"):
        return False
    battery = psutil.sensors_battery()
    return battery is not None and battery.power_plugged is False
