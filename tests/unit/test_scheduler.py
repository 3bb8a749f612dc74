"""The one inference thread."""

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, Future

import pytest

from fakes import ScriptedEngine
from likely.engines.engine import Driver, Work
from likely.engines.interruption import Interrupted
from likely.lsp.scheduler import Scheduler, Superseded, describe
from likely.prediction.question import Question, distribution_after

PATIENCE = 120

Steps = Generator[None, None, str]


class Held:
    """Work that a test holds in its hands: its first step polls until it is told to end."""

    def __init__(self, scheduler: Scheduler, result: str = "") -> None:
        self.scheduler = scheduler
        self.result = result
        self.started = threading.Event()
        self.release = threading.Event()
        self.interrupted = threading.Event()

    def __call__(self) -> Steps:
        yield
        self.started.set()
        try:
            while not self.release.wait(0.001):
                self.scheduler.poll()
        except Interrupted:
            self.interrupted.set()
            raise
        return self.result

    def again(self) -> Steps:
        """The same work; a step that was interrupted is taken again."""
        while True:
            try:
                return (yield from self())
            except Interrupted:
                continue

    def only(self) -> Generator[None, None, None]:
        """The same work, whose result nobody wants."""
        yield from self()


def at_once(result: str) -> Callable[[], Steps]:
    """Work of one step."""

    def steps() -> Steps:
        yield
        return result

    return steps


def in_steps(name: str, log: list[str], count: int = 3) -> Callable[[], Steps]:
    """Work of several steps that takes note of each."""

    def steps() -> Steps:
        for number in range(count):
            log.append(f"{name}{number}")
            yield
        return name

    return steps


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    assert scheduler.close(PATIENCE)


class Gate:
    """Foreground work that keeps the thread busy until everything is in its queue."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._held = Held(scheduler)
        self._future = scheduler.ask(self, self._held)
        assert self._held.started.wait(PATIENCE)

    def open(self) -> None:
        self._held.release.set()
        self._future.result(PATIENCE)


# Foreground work.


def test_work_is_done_in_order_and_in_one_thread(scheduler: Scheduler) -> None:
    order: list[tuple[int, str]] = []

    def work(number: int) -> Callable[[], Generator[None, None, int]]:
        def steps() -> Generator[None, None, int]:
            yield
            order.append((number, threading.current_thread().name))
            return number

        return steps

    futures = [scheduler.ask(number, work(number)) for number in range(5)]
    assert [future.result(PATIENCE) for future in futures] == [0, 1, 2, 3, 4]
    assert order == [(number, "likely-inference") for number in range(5)]


def test_the_latest_of_a_key_wins_and_the_running_one_is_interrupted(scheduler: Scheduler) -> None:
    first = Held(scheduler)
    running = scheduler.ask("completion", first)
    assert first.started.wait(PATIENCE)
    other = scheduler.ask("hover", at_once("other"))
    waiting = scheduler.ask("completion", at_once("never run"))
    last = scheduler.ask("completion", at_once("last"))
    assert last.result(PATIENCE) == "last"
    assert other.result(PATIENCE) == "other"
    assert first.interrupted.is_set()
    for future in (running, waiting):
        assert isinstance(future.exception(PATIENCE), Superseded)


def test_foreground_work_does_not_make_way_for_other_foreground_work(scheduler: Scheduler) -> None:
    first = Held(scheduler, "first")
    running = scheduler.ask("a", first)
    assert first.started.wait(PATIENCE)
    second = scheduler.ask("b", at_once("second"))
    first.release.set()
    assert running.result(PATIENCE) == "first"
    assert second.result(PATIENCE) == "second"
    assert not first.interrupted.is_set()


def test_a_cancelled_future_interrupts_running_and_drops_waiting_work(scheduler: Scheduler) -> None:
    first, second = Held(scheduler), Held(scheduler)
    running = scheduler.ask(1, first)
    waiting = scheduler.ask(2, second)
    assert first.started.wait(PATIENCE)
    assert waiting.cancel()
    assert running.cancel()
    assert first.interrupted.wait(PATIENCE)
    assert scheduler.ask(3, at_once("next")).result(PATIENCE) == "next"
    assert not second.started.is_set()


def test_stale_work_is_dropped_at_its_next_step_and_closed(scheduler: Scheduler) -> None:
    started, release, closed = threading.Event(), threading.Event(), threading.Event()

    def deaf() -> Steps:
        try:
            started.set()
            release.wait(PATIENCE)
            yield
            raise AssertionError("a step of work that nobody wants")
        finally:
            closed.set()

    future = scheduler.ask(1, deaf)
    assert started.wait(PATIENCE)
    future.cancel()
    release.set()
    assert scheduler.ask(2, at_once("next")).result(PATIENCE) == "next"
    assert closed.is_set()


def test_a_failure_belongs_to_its_job_alone(scheduler: Scheduler) -> None:
    def fail() -> Steps:
        yield
        raise ValueError("private text")

    def leave() -> Steps:
        yield
        raise SystemExit

    def fail_to_begin() -> Steps:
        raise LookupError

    assert isinstance(scheduler.ask(1, fail).exception(PATIENCE), ValueError)
    assert isinstance(scheduler.ask(1, leave).exception(PATIENCE), SystemExit)
    assert isinstance(scheduler.ask(1, fail_to_begin).exception(PATIENCE), LookupError)
    assert isinstance(scheduler.in_background(1, fail).exception(PATIENCE), ValueError)
    assert scheduler.ask(1, at_once("alive")).result(PATIENCE) == "alive"
    assert scheduler.in_background(1, at_once("alive")).result(PATIENCE) == "alive"


def test_a_result_that_comes_after_the_cancellation_is_dropped(scheduler: Scheduler) -> None:
    started, release = threading.Event(), threading.Event()

    def deaf() -> Steps:
        yield
        started.set()
        release.wait(PATIENCE)
        return "too late"

    future = scheduler.ask(1, deaf)
    assert started.wait(PATIENCE)
    future.cancel()
    release.set()
    assert scheduler.ask(2, at_once("next")).result(PATIENCE) == "next"
    with pytest.raises(CancelledError):
        future.result(0)


# Idle work.


def test_idle_work_runs_step_by_step_while_nothing_waits(scheduler: Scheduler) -> None:
    steps: list[int] = []
    done = threading.Event()

    def idle() -> Generator[None, None, None]:
        for number in range(3):
            steps.append(number)
            yield
        done.set()

    scheduler.when_idle(idle)
    assert done.wait(PATIENCE)
    assert steps == [0, 1, 2]


def test_idle_work_is_interrupted_when_a_job_comes(scheduler: Scheduler) -> None:
    idle = Held(scheduler)
    scheduler.when_idle(idle.only)
    assert idle.started.wait(PATIENCE)
    assert scheduler.ask(1, at_once("prompt")).result(PATIENCE) == "prompt"
    assert idle.interrupted.is_set()


def test_idle_work_waits_for_jobs_and_only_the_latest_runs(scheduler: Scheduler) -> None:
    gate, log = Gate(scheduler), list[str]()
    first, second = Held(scheduler), Held(scheduler)
    scheduler.when_idle(first.only)
    scheduler.when_idle(second.only)

    def note() -> Steps:
        yield
        log.append("idle had begun" if second.started.is_set() else "idle waits")
        return ""

    noted = scheduler.ask("note", note)
    gate.open()
    noted.result(PATIENCE)
    assert log == ["idle waits"]
    assert second.started.wait(PATIENCE)
    assert not first.started.is_set()
    second.release.set()


def test_later_idle_work_takes_the_place_of_what_runs(scheduler: Scheduler) -> None:
    first, done = Held(scheduler), threading.Event()

    def second() -> Generator[None, None, None]:
        yield
        done.set()

    scheduler.when_idle(first.only)
    assert first.started.wait(PATIENCE)
    scheduler.when_idle(second)
    assert done.wait(PATIENCE)
    assert first.interrupted.is_set()


def test_a_failure_of_idle_work_is_logged_without_its_message(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    def idle() -> Generator[None, None, None]:
        yield
        raise ValueError("private text")

    scheduler.when_idle(idle)
    # Background work begins when there is no idle work any more.
    assert scheduler.in_background(1, at_once("after it")).result(PATIENCE) == "after it"
    assert scheduler.ask(1, at_once("alive")).result(PATIENCE) == "alive"
    assert [m.split(" at ")[0] for m in caplog.messages] == ["idle work failed: ValueError"]
    assert "private" not in caplog.text


# Background work.


def test_foreground_comes_before_idle_and_idle_before_background(scheduler: Scheduler) -> None:
    gate, log = Gate(scheduler), list[str]()

    def idle() -> Generator[None, None, None]:
        yield from in_steps("idle", log)()

    background = scheduler.in_background("b", in_steps("background", log))
    scheduler.when_idle(idle)
    scheduler.ask("a", in_steps("asked", log))
    gate.open()
    assert background.result(PATIENCE) == "background"
    assert log == [f"{kind}{n}" for kind in ("asked", "idle", "background") for n in range(3)]


def test_background_work_of_several_keys_takes_turns(scheduler: Scheduler) -> None:
    gate, log = Gate(scheduler), list[str]()
    futures = [scheduler.in_background(name, in_steps(name, log)) for name in "abc"]
    gate.open()
    assert [future.result(PATIENCE) for future in futures] == ["a", "b", "c"]
    assert log == [f"{name}{number}" for number in range(3) for name in "abc"]


def test_background_work_keeps_its_place_when_something_is_asked(scheduler: Scheduler) -> None:
    """It is set aside at a yield, and goes on where it was, as often as that happens."""
    begun, log = 0, list[str]()
    asked: list[Future[str]] = []

    def long(name: str) -> Callable[[], Steps]:
        def steps() -> Steps:
            nonlocal begun
            begun += 1
            for number in range(3):
                log.append(f"{name}{number}")
                # As if somebody typed in the middle of this step.
                asked.append(scheduler.ask(len(asked), in_steps("!", log, 1)))
                yield
            return name

        return steps

    gate = Gate(scheduler)
    futures = [scheduler.in_background(name, long(name)) for name in "ab"]
    gate.open()
    assert [future.result(PATIENCE) for future in futures] == ["a", "b"]
    assert begun == 2
    turns = [f"{name}{number}" for number in range(3) for name in "ab"]
    assert log == [entry for turn in turns for entry in (turn, "!0")]
    assert [future.result(PATIENCE) for future in asked] == ["!"] * 6


def test_idle_work_comes_between_two_steps_of_background_work(scheduler: Scheduler) -> None:
    log: list[str] = []

    def idle() -> Generator[None, None, None]:
        yield from in_steps("idle", log, 2)()

    def long() -> Steps:
        for number in range(2):
            log.append(f"background{number}")
            if number == 0:
                scheduler.when_idle(idle)
            yield
        return "done"

    assert scheduler.in_background("a", long).result(PATIENCE) == "done"
    assert log == ["background0", "idle0", "idle1", "background1"]


def test_background_work_makes_way_in_the_middle_of_a_step(scheduler: Scheduler) -> None:
    long = Held(scheduler, "done")
    future = scheduler.in_background("a", long.again)
    assert long.started.wait(PATIENCE)
    assert scheduler.ask(1, at_once("prompt")).result(PATIENCE) == "prompt"
    assert long.interrupted.is_set()
    long.release.set()
    assert future.result(PATIENCE) == "done"


def test_an_interrupted_question_is_taken_up_where_it_was(scheduler: Scheduler) -> None:
    """Of a question over three passes the pass that had to make way is made again, no other."""
    reached, resumed = threading.Event(), threading.Event()

    def during(engine: ScriptedEngine, _work: Work) -> None:
        if engine.asked[-1] == (2,) and not resumed.is_set():
            reached.set()
            assert resumed.wait(PATIENCE)

    engine = ScriptedEngine(during=during)
    begun = 0

    def question() -> Question[str]:
        nonlocal begun
        begun += 1
        for token in (1, 2, 3):
            yield from distribution_after((token,))
        return "read"

    driver, work = Driver(engine), Work("a", scheduler.poll)
    future = scheduler.in_background("a", lambda: driver.steps(question(), work))
    assert reached.wait(PATIENCE)
    asked = scheduler.ask(1, at_once("prompt"))
    resumed.set()
    assert asked.result(PATIENCE) == "prompt"
    assert future.result(PATIENCE) == "read"
    assert engine.asked == [(1,), (2,), (2,), (3,)]
    assert begun == 1


def test_later_background_work_of_a_key_takes_the_place_of_earlier(scheduler: Scheduler) -> None:
    long = Held(scheduler)
    running = scheduler.in_background("a", long.again)
    assert long.started.wait(PATIENCE)
    waiting = scheduler.in_background("b", at_once("never run"))
    scheduler.in_background("b", at_once("b"))
    assert isinstance(waiting.exception(PATIENCE), Superseded)
    assert scheduler.in_background("a", at_once("a")).result(PATIENCE) == "a"
    assert isinstance(running.exception(PATIENCE), Superseded)
    assert long.interrupted.is_set()


def test_the_same_key_in_the_foreground_is_another_matter(scheduler: Scheduler) -> None:
    long = Held(scheduler, "read")
    future = scheduler.in_background("a", long.again)
    assert long.started.wait(PATIENCE)
    assert scheduler.ask("a", at_once("asked")).result(PATIENCE) == "asked"
    assert not future.done()
    long.release.set()
    assert future.result(PATIENCE) == "read"


def test_cancelled_background_work_is_dropped_running_or_waiting(scheduler: Scheduler) -> None:
    running, waiting = Held(scheduler), Held(scheduler)
    first = scheduler.in_background("a", running.again)
    assert running.started.wait(PATIENCE)
    second = scheduler.in_background("b", waiting.again)
    assert second.cancel()
    assert first.cancel()
    assert running.interrupted.wait(PATIENCE)
    assert scheduler.in_background("c", at_once("next")).result(PATIENCE) == "next"
    assert not waiting.started.is_set()


# The end.


def test_closing_interrupts_what_runs_and_cancels_what_waits() -> None:
    scheduler = Scheduler()
    first = Held(scheduler)
    running = scheduler.ask(1, first)
    waiting = scheduler.ask(2, at_once("never run"))
    background = scheduler.in_background(1, at_once("never run"))
    assert first.started.wait(PATIENCE)
    assert scheduler.close(PATIENCE)
    assert running.cancelled()
    assert waiting.cancelled()
    assert background.cancelled()
    assert scheduler.ask(3, at_once("too late")).cancelled()
    assert scheduler.in_background(3, at_once("too late")).cancelled()


def test_closing_ends_background_work_in_the_middle_of_a_step() -> None:
    scheduler = Scheduler()
    long = Held(scheduler)
    future = scheduler.in_background("a", long.again)
    assert long.started.wait(PATIENCE)
    assert scheduler.close(PATIENCE)
    assert future.cancelled()
    assert long.interrupted.is_set()


def test_nothing_has_to_make_way_outside_of_work(scheduler: Scheduler) -> None:
    scheduler.poll()


def test_an_error_is_described_by_type_and_place() -> None:
    try:
        raise KeyError("private text")
    except KeyError as error:
        described = describe(error)
    assert described.startswith("KeyError at ")
    assert "test_scheduler.py" in described
    assert "private" not in described
