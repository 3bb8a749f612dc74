"""Look-ahead: what is likely to be typed next costs nothing then, and changes no answer."""

from dataclasses import replace

import numpy as np
import pytest

from fakes import PHRASE, ScriptedEngine
from likely.engines.engine import Driver, Work
from likely.engines.interruption import Interrupted
from likely.prediction.candidates import Prediction
from likely.prediction.cursor import predict_at_cursor, predict_in_context
from likely.prediction.lookahead import Answers, LookAhead
from likely.prediction.next_bytes import next_bytes
from likely.prediction.options import CursorOptions
from likely.prediction.window import TextBefore, make_context
from unit.tiny import STYLES, RandomEngine, Style, answer, predict, vocabulary

OPTIONS = CursorOptions(k=5, mode="exact")
ROWS = 32


class Editor:
    """A driver and the answers that are kept, as the server holds them."""

    def __init__(self, engine: ScriptedEngine | None = None) -> None:
        self.engine = engine or ScriptedEngine()
        self.driver = Driver(self.engine)
        self.answers = Answers(self.engine.model)

    def predict(self, before: TextBefore, options: CursorOptions = OPTIONS) -> Prediction:
        return self.driver.answer(self.answers.predict(before, options))

    def look_ahead(
        self, before: TextBefore, options: CursorOptions = OPTIONS, rows: int = ROWS
    ) -> None:
        for _ in self.driver.work_through(LookAhead(self.answers, before, options), rows):
            pass


def text(typed: str) -> TextBefore:
    return TextBefore(typed.encode(), 0)


@pytest.mark.parametrize("typed", [" ", " v", " vi", " visit", " s", " spend"])
def test_what_is_likely_needs_no_row_when_it_is_typed(typed: str) -> None:
    editor = Editor()
    editor.predict(text(PHRASE))
    editor.look_ahead(text(PHRASE))
    editor.engine.asked.clear()
    question = predict_at_cursor(editor.engine.model, text(PHRASE + typed), OPTIONS)
    assert editor.driver.answer(question) == predict(ScriptedEngine(), PHRASE + typed, OPTIONS)
    assert editor.engine.asked == []


def test_it_stops_at_its_budget() -> None:
    editor = Editor()
    editor.predict(text(PHRASE))
    editor.engine.asked.clear()
    editor.look_ahead(text(PHRASE), rows=3)
    # The last pass may hold a whole batch and what its last text asks for.
    assert 0 < len(editor.engine.asked) < 3 + 16 + 8


def test_it_changes_no_answer() -> None:
    for style in STYLES[:3]:
        fresh, warmed = RandomEngine(vocabulary(style)), Editor(RandomEngine(vocabulary(style)))
        for end in range(3, 20, 2):
            typed = "This weekend I plan"[:end]
            for options in (OPTIONS, replace(OPTIONS, k=7)):
                assert warmed.predict(text(typed), options) == predict(fresh, typed, options)
            warmed.look_ahead(text(typed))


def test_the_next_window_is_warmed() -> None:
    options = CursorOptions(k=5, mode="exact", context_tokens=64)
    editor = Editor()
    typed = "This is a line of words.\n" * 40
    for end in range(400, 900, 50):
        editor.predict(text(typed[:end]), options)
        editor.look_ahead(text(typed[:end]), options)
    assert len({prefix[:8] for prefix in editor.engine.asked}) > 1


def test_the_next_window_is_ready_before_it_is_needed() -> None:
    options = CursorOptions(k=5, mode="exact", context_tokens=16, steady=True)
    editor = Editor()
    typed = "This is a line of words.\n" * 40
    beginnings: list[tuple[int, ...]] = []
    for end in range(60, 180):
        editor.engine.asked.clear()
        editor.predict(text(typed[:end]), options)
        known = {prefix[:8] for prefix in editor.engine.asked}
        # What a keystroke computes begins as something did that was computed before it.
        assert not beginnings or known <= {*beginnings}
        editor.look_ahead(text(typed[:end]), options, rows=8)
        beginnings += {prefix[:8] for prefix in editor.engine.asked} - {*beginnings}
    assert len(beginnings) > 2


def test_interrupted_work_is_taken_up_again() -> None:
    interruptions = 0

    def poll() -> None:
        nonlocal interruptions
        if interruptions < 3:
            interruptions += 1
            raise Interrupted

    editor, undisturbed = Editor(), Editor()
    for _ in editor.driver.work_through(
        LookAhead(editor.answers, text(PHRASE), OPTIONS), ROWS, Work("a", poll)
    ):
        pass
    undisturbed.look_ahead(text(PHRASE))
    assert interruptions == 3
    assert [*dict.fromkeys(editor.engine.asked)] == undisturbed.engine.asked


def test_failures_raise_through() -> None:
    class Broken(Exception):  # noqa: N818
        pass

    def poll() -> None:
        raise Broken

    editor = Editor()
    steps = editor.driver.work_through(
        LookAhead(editor.answers, text(PHRASE), OPTIONS), ROWS, Work("a", poll)
    )
    with pytest.raises(Broken):
        list(steps)


def test_the_same_question_is_answered_once_wherever_the_text_was_cut() -> None:
    editor = Editor()
    options = CursorOptions(k=5, mode="exact", context_tokens=16)
    long = "This weekend I plan to visit the world. " * 20
    asked, made = [], []
    for begin in (0, 40):
        made.append(editor.predict(TextBefore(long[begin:].encode(), begin), options))
        asked.append(len(editor.engine.asked))
    assert asked[0] == asked[1]
    assert made[0] is made[1]
    editor.driver.clear()
    assert Editor(editor.engine).predict(text(long), options) == made[0]
    assert len(editor.engine.asked) > 0


@pytest.mark.parametrize("style", STYLES)
def test_the_next_bytes_are_those_of_everything_that_may_follow(style: Style) -> None:
    """With all rows at hand and all candidates listed, no character is likelier than guessed."""
    engine = RandomEngine(vocabulary(style))
    options = CursorOptions(k=10_000, mode="exact")
    for typed in ("This we", "I plan to", "wee"):
        context = make_context(engine.model, text(typed), 64, "bos")
        question = predict_in_context(engine.model, context, options)
        prediction, weighed = answer(engine, question)
        assert weighed is not None
        expected = np.zeros(256)
        for candidate in prediction.candidates:
            expected[candidate.insertion[0]] += candidate.probability
        guess = next_bytes(weighed)
        # What could not canonically follow counts in the guess as well.
        assert (guess[:128] >= expected[:128] - 2e-3).all()
        assert guess.sum() <= 1 + 1e-6
