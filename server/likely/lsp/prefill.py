"""Idle work: what precedes the cursor goes through the model before anyone asks."""

from collections.abc import Iterator

from likely.lsp import asking
from likely.lsp.documents import Document
from likely.lsp.served_model import ServedModel
from likely.lsp.session import Session
from likely.prediction.context import TextBefore
from likely.prediction.cursor import predict_at_cursor


def prefill_beginning(session: Session, uri: str, document: Document) -> None:
    """Prepare for typing in a document just opened: its first window, wherever in it that is."""
    if (model := session.model) is not None:
        beginning = document.beginning(asking.bytes_needed(session.settings, model))
        _prefill(session, model, uri, TextBefore(beginning, 0))


def _prefill(session: Session, model: ServedModel, uri: str, text: TextBefore) -> None:
    completion = session.settings.completion
    if not (completion.enabled and session.settings.look_ahead and text.data.strip()):
        return
    options = asking.options(session.settings, model)

    def steps() -> Iterator[None]:
        if session.model is model:
            model.owner = uri
            predict_at_cursor(model, text, options)
        yield

    session.when_idle(steps)
