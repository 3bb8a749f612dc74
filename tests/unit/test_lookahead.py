"""Look-ahead: what is likely to be typed next costs nothing then, and changes no answer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from likely.prediction.predictor import Predictor
from likely.prediction.protocol import LogProbabilities

from fakes import PHRASE, FakeModel
from likely.prediction.cursor import CursorOptions, predict_at_cursor, predict_in_context
from likely.prediction.next_bytes import next_bytes
from likely.prediction.window import TextBefore, make_context
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
    predictor = Predictor(model)
    predictor.predict(text(PHRASE), OPTIONS)
    for _ in predictor.look_ahead(text(PHRASE), OPTIONS):
        pass
    model.made.clear()
    predict_at_cursor(model, text(PHRASE + typed), OPTIONS)
    assert model.made == []


def test_it_stops_at_its_budget() -> None:
    model = CountingModel()
    predictor = Predictor(model)
    predictor.predict(text(PHRASE), OPTIONS)
    model.made.clear()
    for _ in predictor.look_ahead(text(PHRASE), OPTIONS, max_rows=3):
        pass
    # The last pass may hold a whole batch and what its last text asks for.
    assert 0 < len(model.made) < 3 + 16 + 8


def test_it_changes_no_answer() -> None:
    for style in STYLES[:3]:
        fresh, warmed = RandomModel(vocabulary(style)), Predictor(RandomModel(vocabulary(style)))
        for end in range(3, 20):
            before = text("This weekend I plan"[:end])
            for options in (OPTIONS, replace(OPTIONS, k=7)):
                assert warmed.predict(before, options) == predict_at_cursor(fresh, before, options)
            for _ in warmed.look_ahead(before, OPTIONS):
                pass


def test_the_next_window_is_warmed() -> None:
    options = CursorOptions(k=5, mode="exact", context_tokens=64)
    model = CountingModel()
    predictor = Predictor(model)
    typed = "This is a line of words.\n" * 40
    starts = set()
    for end in range(400, 900, 5):
        before = text(typed[:end])
        predictor.predict(before, options)
        for _ in predictor.look_ahead(before, options):
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
        list(Predictor(model).look_ahead(text(PHRASE), OPTIONS))


def test_the_same_question_is_answered_once_wherever_the_text_was_cut() -> None:
    model = CountingModel()
    predictor = Predictor(model)
    options = CursorOptions(k=5, mode="exact", context_tokens=16)
    long = "This weekend I plan to visit the world. " * 20
    asked = []
    for begin in (0, 40):
        predictor.predict(TextBefore(long[begin:].encode(), begin), options)
        asked.append(len(model.asked))
    assert asked[0] == asked[1]
    predictor.forget()
    predictor.predict(text(long), options)
    assert len(model.asked) > asked[1]


@pytest.mark.parametrize("style", STYLES)
def test_the_next_bytes_are_those_of_everything_that_may_follow(style: str) -> None:
    """With all rows at hand and all candidates listed, no character is likelier than guessed."""
    model = RandomModel(vocabulary(style))
    options = CursorOptions(k=10_000, mode="exact")
    for typed in ("This we", "I plan to", "wee"):
        context = make_context(model, text(typed), 64, "bos")
        prediction, weighed = predict_in_context(model, context, options)
        assert weighed is not None
        expected = np.zeros(256)
        for candidate in prediction.candidates:
            expected[candidate.insertion[0]] += candidate.probability
        guess = next_bytes(model, *weighed)
        # What could not canonically follow counts in the guess as well.
        assert (guess[:128] >= expected[:128] - 2e-3).all()
        assert guess.sum() <= 1 + 1e-6
