"""Settings and snapshots -> questions to prediction."""

from dataclasses import replace

from likely.lsp.documents import Snapshot
from likely.prediction.options import CursorOptions
from likely.prediction.question import LanguageModel
from likely.prediction.window import TextBefore, steady_reach
from likely.settings import Settings


def bytes_needed(settings: Settings, model: LanguageModel) -> int:
    """How many bytes before a cursor can matter."""
    return steady_reach(model, settings.cursor.context_tokens)


def text_before(snapshot: Snapshot) -> TextBefore:
    """The text before a snapshot's position, as prediction wants it."""
    return TextBefore(snapshot.before, snapshot.offset - len(snapshot.before))


def options(settings: Settings) -> CursorOptions:
    """What to propose at a cursor where somebody types."""
    return replace(settings.cursor, steady=True)
