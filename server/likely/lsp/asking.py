"""Settings and snapshots -> questions to prediction."""

from likely.lsp.documents import Snapshot
from likely.lsp.served_model import ServedModel
from likely.prediction.context import TextBefore, reach
from likely.prediction.cursor import CursorOptions
from likely.settings import Settings


def context_tokens(settings: Settings, model: ServedModel) -> int:
    """The size of the window: as set, at most what the model was made for."""
    return min(settings.context_tokens, model.max_tokens)


def bytes_needed(settings: Settings, model: ServedModel) -> int:
    """How many bytes before a position can matter."""
    return reach(context_tokens(settings, model))


def text_before(snapshot: Snapshot) -> TextBefore:
    """The text before a snapshot's position, as prediction wants it."""
    return TextBefore(snapshot.before, snapshot.offset - len(snapshot.before))


def options(settings: Settings, model: ServedModel) -> CursorOptions:
    """What to propose at a cursor."""
    completion = settings.completion
    return CursorOptions(
        k=settings.k,
        mode=completion.mode,
        unit=completion.unit,
        top_p=completion.top_p,
        min_probability=completion.min_probability,
        context_tokens=context_tokens(settings, model),
        document_start=settings.document_start,
    )
