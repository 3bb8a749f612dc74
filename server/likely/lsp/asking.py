"""Settings and snapshots -> questions to prediction."""

from likely.lsp.documents import Snapshot
from likely.prediction.options import CursorOptions
from likely.prediction.question import LanguageModel
from likely.prediction.window import TextBefore, steady_reach
from likely.settings import Settings


def bytes_needed(settings: Settings, model: LanguageModel) -> int:
    """How many bytes before a cursor can matter."""
    return steady_reach(model, settings.context_tokens)


def text_before(snapshot: Snapshot) -> TextBefore:
    """The text before a snapshot's position, as prediction wants it."""
    return TextBefore(snapshot.before, snapshot.offset - len(snapshot.before))


def options(settings: Settings) -> CursorOptions:
    """What to propose at a cursor."""
    completion = settings.completion
    return CursorOptions(
        k=settings.k,
        mode=completion.mode,
        unit=completion.unit,
        top_p=completion.top_p,
        min_probability=completion.min_probability,
        context_tokens=settings.context_tokens,
        steady=True,
        document_start=settings.document_start,
    )
