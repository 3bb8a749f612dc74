"""Drivers: what they keep, what rides along, what is merged, resumed, interrupted, released."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pytest

from fakes import ScriptedEngine
from likely.engines.engine import NOBODY, Driver, Steps, Work
from likely.engines.interruption import Interrupted
from likely.prediction.question import (
    Distribution,
    Passage,
    Question,
    distribution_after,
    distributions_after,
    scores_of,
)
from likely.text.vocabulary import TokenIds
from oracle import score_row_by_row

T = TypeVar("T")

MANY_ROWS = 1000


class Engine(ScriptedEngine):
    """An engine that takes note of its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[list[TokenIds]] = []

    def distributions(self, prefixes: Sequence[TokenIds], work: Work) -> list[Distribution]:
        self.passes.append(list(prefixes))
        return super().distributions(prefixes, work)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def driver(engine: Engine) -> Driver:
    return Driver(engine)


def prefixes(*tokens: int) -> list[TokenIds]:
    return [(token,) for token in tokens]


class Counted:
    """Questions over several passes; how often one was begun, and their answers."""

    def __init__(self) -> None:
        self.begun = 0
        self.answers: list[list[Distribution]] = []

    def ask(self, *needs: Sequence[TokenIds]) -> Question[None]:
        self.begun += 1
        received: list[Distribution] = []
        for need in needs:
            received += yield from distributions_after(need)
        self.answers.append(received)


class Listed:
    """An agenda of questions in order."""

    def __init__(self, *questions: Question[None]) -> None:
        self._left = list(questions)

    def next(self) -> Question[None] | None:
        return self._left.pop(0) if self._left else None


def failing(times: int) -> Callable[[], None]:
    """A poll that interrupts so many times."""
    left = times

    def poll() -> None:
        nonlocal left
        if left:
            left -= 1
            raise Interrupted

    return poll


def finish(steps: Iterator[None]) -> int:
    """Take all steps; returns how many there were."""
    return sum(1 for _ in steps)


# Answers.


def test_distributions_come_in_the_order_of_the_prefixes(driver: Driver, engine: Engine) -> None:
    wanted = prefixes(3, 1, 3, 2)
    found = driver.answer(distributions_after(wanted))
    assert [row.top(1) for row in found] == [engine.row(prefix).top(1) for prefix in wanted]
    assert list(found) == [engine.row(prefix) for prefix in wanted]
    assert engine.passes == [prefixes(3, 1, 2)]


def test_asking_again_costs_no_pass(driver: Driver, engine: Engine) -> None:
    first = driver.answer(distributions_after(prefixes(1, 2)))
    again = driver.answer(distributions_after(prefixes(2, 1)))
    assert list(again) == list(reversed(first))
    assert engine.passes == [prefixes(1, 2)]
    assert driver.at_hand((1,)) is first[0]
    assert driver.at_hand((3,)) is None
    driver.answer(distributions_after(prefixes(1, 3)))
    assert engine.passes == [prefixes(1, 2), prefixes(3)]


def test_a_question_that_needs_nothing_is_answered(driver: Driver, engine: Engine) -> None:
    def question() -> Question[str]:
        return "answer"
        yield

    assert driver.answer(question()) == "answer"
    assert finish(driver.steps(question())) == 0
    assert engine.passes == []


def test_a_passage_is_scored_by_the_engine(driver: Driver, engine: Engine) -> None:
    passage = Passage((5, 6, 7), 1, 2, np.zeros((0, len(engine.model.vocabulary)), np.float32))
    expected = score_row_by_row(passage, engine.logs)
    for found in (driver.answer(scores_of(passage)), returned(driver.steps(scores_of(passage)))):
        assert np.array_equal(found.logprobs, expected.logprobs)
        assert np.array_equal(found.top_ids, expected.top_ids)
    assert driver.answer(scores_of(passage)).set_probabilities.shape == (3, 0)


def returned(steps: Steps[T]) -> T:
    """What the steps come to, once they are all taken."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


# Riders.


def test_riders_come_along_with_a_pass_and_cost_none_later(driver: Driver, engine: Engine) -> None:
    driver.answer(distributions_after(prefixes(1), prefixes(2, 1, 3)))
    assert engine.passes == [prefixes(1, 2, 3)]
    driver.answer(distributions_after(prefixes(3, 2)))
    assert len(engine.passes) == 1


def test_riders_are_not_even_worked_out_without_a_pass(driver: Driver, engine: Engine) -> None:
    def never() -> Iterator[TokenIds]:
        raise AssertionError("a rider without a pass")
        yield

    driver.answer(distribution_after((1,)))
    driver.answer(distributions_after(prefixes(1), never()))
    assert engine.passes == [prefixes(1)]


def test_only_so_many_ride_along_and_none_that_is_kept(driver: Driver, engine: Engine) -> None:
    driver.answer(distributions_after(prefixes(11, 12)))
    taken = 0

    def endless() -> Iterator[TokenIds]:
        nonlocal taken
        while True:
            taken += 1
            yield (10 + taken,)

    driver.answer(distributions_after(prefixes(1, 2), endless()))
    assert engine.passes[1] == prefixes(1, 2, *range(13, 20))
    assert taken <= 10


# Steps and interruptions.


def test_an_interrupted_answer_raises_and_what_was_there_is_kept(
    driver: Driver, engine: Engine
) -> None:
    polls = 0

    def poll() -> None:
        nonlocal polls
        polls += 1
        if polls == 2:
            raise Interrupted

    counted = Counted()
    with pytest.raises(Interrupted):
        driver.answer(counted.ask(prefixes(1), prefixes(2)), Work("a", poll))
    assert counted.answers == []
    driver.answer(counted.ask(prefixes(1), prefixes(2)))
    assert engine.passes == [prefixes(1), prefixes(2), prefixes(2)]


def test_a_step_that_is_interrupted_is_taken_again(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    question = counted.ask(prefixes(1), prefixes(2, 3), prefixes(1, 4))
    steps = finish(driver.steps(question, Work("a", failing(2))))
    assert engine.passes == [*[prefixes(1)] * 3, prefixes(2, 3), prefixes(4)]
    assert steps == 5
    assert counted.begun == 1
    assert counted.answers == [[engine.row(p) for p in prefixes(1, 2, 3, 1, 4)]]


def test_between_two_steps_there_is_at_most_one_pass(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    made = 0
    for _ in driver.steps(counted.ask(prefixes(1), prefixes(1), prefixes(2), prefixes(3))):
        assert len(engine.passes) - made <= 1
        made = len(engine.passes)
    assert len(engine.passes) == 3


def test_a_failure_of_the_engine_is_no_interruption(driver: Driver) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finish(driver.steps(distribution_after((1,)), Work("a", fail)))


# Several questions at once.


def test_what_several_questions_lack_is_computed_together(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    agenda = Listed(
        counted.ask(prefixes(1), prefixes(4)),
        counted.ask(prefixes(2, 1)),
        counted.ask(prefixes(3), prefixes(5), prefixes(4)),
    )
    finish(driver.work_through(agenda, MANY_ROWS))
    assert engine.passes == [prefixes(1, 2, 3), prefixes(4, 5)]
    assert counted.begun == 3
    expected = [prefixes(2, 1), prefixes(1, 4), prefixes(3, 5, 4)]
    assert counted.answers == [[engine.row(p) for p in asked] for asked in expected]


def test_no_more_than_a_pass_can_take_is_begun_at_once(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    agenda = Listed(*(counted.ask(prefixes(token), [(token, 1)]) for token in range(1, 41)))
    finish(driver.work_through(agenda, MANY_ROWS))
    assert max(map(len, engine.passes)) <= 16
    assert len(engine.passes) == 6
    assert counted.begun == len(counted.answers) == 40
    assert sorted(engine.asked) == sorted({*engine.asked})


def test_riders_fill_the_passes_of_looking_ahead(driver: Driver, engine: Engine) -> None:
    def question() -> Question[None]:
        yield from distributions_after(prefixes(1), prefixes(*range(2, 40)))

    finish(driver.work_through(Listed(question()), MANY_ROWS))
    assert engine.passes == [prefixes(*range(1, 17))]


def test_looking_ahead_costs_no_pass_for_what_is_at_hand(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    driver.answer(distributions_after(prefixes(1, 2)))
    finish(driver.work_through(Listed(counted.ask(prefixes(1), prefixes(2))), MANY_ROWS))
    assert len(counted.answers) == 1
    assert len(engine.passes) == 1


def test_an_agenda_is_left_when_the_rows_are_spent(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    agenda = Listed(*(counted.ask(prefixes(token)) for token in range(1, 41)))
    finish(driver.work_through(agenda, 20))
    assert len(engine.asked) == 32
    assert counted.begun == 32
    assert agenda.next() is not None


def test_an_answer_may_bring_other_questions(driver: Driver, engine: Engine) -> None:
    class Growing:
        """Each answer brings the question after one token more, until they are long enough."""

        def __init__(self) -> None:
            self.waiting: list[TokenIds] = [(1,)]
            self.seen: list[TokenIds] = []

        def next(self) -> Question[None] | None:
            return self._visit(self.waiting.pop()) if self.waiting else None

        def _visit(self, prefix: TokenIds) -> Question[None]:
            yield from distribution_after(prefix)
            self.seen.append(prefix)
            if len(prefix) < 4:
                self.waiting.append((*prefix, 1))

    agenda = Growing()
    finish(driver.work_through(agenda, MANY_ROWS))
    assert agenda.seen == [(1,) * length for length in (1, 2, 3, 4)]


def test_looking_ahead_goes_on_after_an_interruption(driver: Driver, engine: Engine) -> None:
    counted = Counted()
    agenda = Listed(
        counted.ask(prefixes(1), prefixes(3)), counted.ask(prefixes(2), prefixes(3), prefixes(4))
    )
    finish(driver.work_through(agenda, MANY_ROWS, Work("a", failing(2))))
    assert engine.passes == [*[prefixes(1, 2)] * 3, prefixes(3), prefixes(4)]
    assert counted.begun == len(counted.answers) == 2


def test_a_question_may_be_set_aside_while_others_are_answered(
    driver: Driver, engine: Engine
) -> None:
    counted = Counted()
    steps = driver.steps(counted.ask(prefixes(1), prefixes(2), prefixes(3)))
    for _ in steps:
        # Somebody types: other questions in between, and what they computed is of use.
        driver.answer(distributions_after(prefixes(9, 2)))
    assert engine.passes == [prefixes(9, 2), prefixes(1), prefixes(3)]
    assert counted.begun == 1


def test_scores_are_not_looked_ahead(driver: Driver, engine: Engine) -> None:
    def question() -> Question[None]:
        sets = np.zeros((0, len(engine.model.vocabulary)), np.float32)
        yield from scores_of(Passage((1, 2), 1, 1, sets))

    with pytest.raises(TypeError):
        finish(driver.work_through(Listed(question()), MANY_ROWS))


# Memory.


def test_only_what_belongs_to_an_owner_is_released_with_it(driver: Driver, engine: Engine) -> None:
    driver.answer(distributions_after(prefixes(1, 2), prefixes(3)), Work("a"))
    driver.answer(distributions_after(prefixes(2, 4)), Work("b"))
    driver.answer(distributions_after(prefixes(5)), NOBODY)
    finish(driver.work_through(Listed(Counted().ask(prefixes(6))), MANY_ROWS, Work("a")))
    driver.release("a")
    assert engine.released == ["a"]
    engine.asked.clear()
    driver.answer(distributions_after(prefixes(1, 2, 3, 4, 5, 6)))
    assert engine.asked == prefixes(1, 2, 3, 6)


def test_clearing_forgets_everything(driver: Driver, engine: Engine) -> None:
    driver.answer(distribution_after((1,)), Work("a"))
    driver.clear()
    assert engine.asked == []
    assert driver.at_hand((1,)) is None
    driver.answer(distribution_after((1,)))
    assert engine.asked == prefixes(1)


def test_a_small_memory_keeps_the_rows_of_a_pass_at_least(engine: Engine) -> None:
    driver = Driver(engine, kept_bytes=0)
    asked = prefixes(*range(100, 132))
    driver.answer(distributions_after(asked))
    driver.answer(distributions_after(asked))
    assert len(engine.passes) == 1
    # One more, and the row that was used longest ago makes room.
    driver.answer(distribution_after((1,)))
    driver.answer(distributions_after(asked[1:]))
    assert len(engine.passes) == 2
    driver.answer(distribution_after(asked[0]))
    assert len(engine.passes) == 3


def test_memory_is_bounded_and_answers_do_not_depend_on_it(engine: Engine) -> None:
    row_bytes = 4 * len(engine.model.vocabulary)
    driver = Driver(engine, kept_bytes=40 * row_bytes)
    asked = prefixes(*range(1, 101))
    for _ in range(2):
        # More than can be kept, and some of them at hand.
        found = driver.answer(distributions_after(asked))
        assert list(found) == [engine.row(prefix) for prefix in asked]
        assert sum(driver.at_hand(prefix) is not None for prefix in asked) == 40
