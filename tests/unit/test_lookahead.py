"""Look-ahead: what is likely to be typed next costs nothing then, and changes no answer."""

from collections.abc import Sequence

import pytest

from fakes import PHRASE, FakeModel
from likely.prediction.context import TextBefore
from likely.prediction.cursor import CursorOptions, predict_at_cursor
from likely.prediction.lookahead import look_ahead
from likely.prediction.protocol import LogProbabilities
from likely.text.vocabulary import TokenIds
from unit.tiny import STYLES, RandomModel, vocabulary

OPTIONS = CursorOptions(k=5, mode="exact")


class CountingModel(FakeModel):
    """Remembers which rows it had to make."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[TokenIds] = []

    def log_probabilities(self, sequences: Sequence[TokenIds]) -> list[LogProbabilities]:
        self.made += [sequence for sequence in sequences if not self.knows(sequence)]
        return super().log_probabilities(sequences)


def text(typed: str) -> TextBefore:
    return TextBefore(typed.encode(), 0)


@pytest.mark.parametrize("typed", [" ", " v", " vi", " visit", " s", " spend"])
def test_what_is_likely_needs_no_row_when_it_is_typed(typed: str) -> None:
    model = CountingModel()
    predict_at_cursor(model, text(PHRASE), OPTIONS)
    for _ in look_ahead(model, text(PHRASE), OPTIONS):
        pass
    model.made.clear()
    predict_at_cursor(model, text(PHRASE + typed), OPTIONS)
    assert model.made == []


def test_it_stops_at_its_budget() -> None:
    model = CountingModel()
    predict_at_cursor(model, text(PHRASE), OPTIONS)
    model.made.clear()
    for _ in look_ahead(model, text(PHRASE), OPTIONS, max_rows=3):
        pass
    # The last pass may hold a whole batch.
    assert 0 < len(model.made) < 3 + 8 + 8


def test_it_changes_no_answer() -> None:
    for style in STYLES[:3]:
        fresh, warmed = RandomModel(vocabulary(style)), RandomModel(vocabulary(style))
        for end in range(3, 20):
            before = text("This weekend I plan"[:end])
            for _ in look_ahead(warmed, before, OPTIONS):
                pass
            assert predict_at_cursor(warmed, before, OPTIONS) == predict_at_cursor(
                fresh, before, OPTIONS
            )


def test_the_next_window_is_warmed() -> None:
    options = CursorOptions(k=5, mode="exact", context_tokens=64)
    model = CountingModel()
    typed = "This is a line of words.\n" * 40
    starts = set()
    for end in range(400, 900, 5):
        before = text(typed[:end])
        predict_at_cursor(model, before, options)
        for _ in look_ahead(model, before, options):
            pass
        starts |= {sequence[:8] for sequence in model.made}
    assert len(starts) > 1


def test_abandoned_work_raises_through() -> None:
    class Stale(Exception):  # noqa: N818
        pass

    def poll() -> None:
        raise Stale

    model = FakeModel()
    model.poll = poll
    with pytest.raises(Stale):
        list(look_ahead(model, text(PHRASE), OPTIONS))
