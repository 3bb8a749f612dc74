"""The one inference thread."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future

import pytest
from likely.lsp.worker import Abandoned, Superseded, Worker, describe

PATIENCE = 120


class Work:
    """Work that a test holds in its hands: it polls until it is told to end."""

    def __init__(self, worker: Worker, result: str = "") -> None:
        self.worker = worker
        self.result = result
        self.started = threading.Event()
        self.release = threading.Event()
        self.abandoned = threading.Event()

    def __call__(self) -> str:
        self.started.set()
        try:
            while not self.release.wait(0.001):
                self.worker.poll()
        except Abandoned:
            self.abandoned.set()
            raise
        return self.result

    def steps(self) -> Iterator[None]:
        self()
        yield


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    assert worker.close(PATIENCE)


def test_work_is_done_in_order_and_in_one_thread(worker: Worker) -> None:
    order: list[tuple[int, str]] = []

    def work(number: int) -> Callable[[], int]:
        def run() -> int:
            order.append((number, threading.current_thread().name))
            return number

        return run

    futures = [worker.submit(number, work(number)) for number in range(5)]
    assert [future.result(PATIENCE) for future in futures] == [0, 1, 2, 3, 4]
    assert order == [(number, "likely-inference") for number in range(5)]


def test_the_latest_of_a_key_wins_and_the_running_one_is_abandoned(worker: Worker) -> None:
    first = Work(worker)
    running = worker.submit("completion", first)
    assert first.started.wait(PATIENCE)
    other = worker.submit("hover", lambda: "other")
    waiting = worker.submit("completion", lambda: "never run")
    last = worker.submit("completion", lambda: "last")
    assert last.result(PATIENCE) == "last"
    assert other.result(PATIENCE) == "other"
    assert first.abandoned.is_set()
    for future in (running, waiting):
        assert isinstance(future.exception(PATIENCE), Superseded)


def test_a_cancelled_future_abandons_running_and_drops_waiting_work(worker: Worker) -> None:
    first, second = Work(worker), Work(worker)
    running = worker.submit(1, first)
    waiting = worker.submit(2, second)
    assert first.started.wait(PATIENCE)
    assert waiting.cancel()
    assert running.cancel()
    assert first.abandoned.wait(PATIENCE)
    assert worker.submit(3, lambda: "next").result(PATIENCE) == "next"
    assert not second.started.is_set()


def test_a_failure_belongs_to_its_job_alone(worker: Worker) -> None:
    def fail() -> None:
        raise ValueError("private text")

    def leave() -> None:
        raise SystemExit

    assert isinstance(worker.submit(1, fail).exception(PATIENCE), ValueError)
    assert isinstance(worker.submit(1, leave).exception(PATIENCE), SystemExit)
    assert worker.submit(1, lambda: "alive").result(PATIENCE) == "alive"


def test_a_result_that_comes_after_the_cancellation_is_dropped(worker: Worker) -> None:
    started, release = threading.Event(), threading.Event()

    def deaf() -> str:
        started.set()
        release.wait(PATIENCE)
        return "too late"

    future = worker.submit(1, deaf)
    assert started.wait(PATIENCE)
    future.cancel()
    release.set()
    assert worker.submit(2, lambda: "next").result(PATIENCE) == "next"
    with pytest.raises(CancelledError):
        future.result(0)


def test_idle_work_runs_step_by_step_while_nothing_waits(worker: Worker) -> None:
    steps: list[int] = []
    done = threading.Event()

    def idle() -> Iterator[None]:
        for number in range(3):
            steps.append(number)
            yield
        done.set()

    worker.when_idle(idle)
    assert done.wait(PATIENCE)
    assert steps == [0, 1, 2]


def test_idle_work_is_abandoned_when_a_job_comes(worker: Worker) -> None:
    idle = Work(worker)
    worker.when_idle(idle.steps)
    assert idle.started.wait(PATIENCE)
    assert worker.submit(1, lambda: "prompt").result(PATIENCE) == "prompt"
    assert idle.abandoned.is_set()


def test_idle_work_waits_for_jobs_and_only_the_latest_runs(worker: Worker) -> None:
    job, first, second = Work(worker), Work(worker), Work(worker)
    future = worker.submit(1, job)
    assert job.started.wait(PATIENCE)
    worker.when_idle(first.steps)
    worker.when_idle(second.steps)
    time.sleep(0.02)
    assert not second.started.is_set()
    job.release.set()
    assert future.result(PATIENCE) == ""
    assert second.started.wait(PATIENCE)
    assert not first.started.is_set()
    second.release.set()


def test_a_failure_of_idle_work_is_logged_without_its_message(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    def idle() -> Iterator[None]:
        yield
        raise ValueError("private text")

    worker.when_idle(idle)
    deadline = time.monotonic() + PATIENCE
    while not caplog.messages and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.submit(1, lambda: "alive").result(PATIENCE) == "alive"
    assert [m.split(" at ")[0] for m in caplog.messages] == ["idle work failed: ValueError"]
    assert "private" not in caplog.text


def test_closing_abandons_what_runs_and_cancels_what_waits() -> None:
    worker = Worker()
    first = Work(worker)
    running = worker.submit(1, first)
    waiting: Future[str] = worker.submit(2, lambda: "never run")
    assert first.started.wait(PATIENCE)
    assert worker.close(PATIENCE)
    assert running.cancelled()
    assert waiting.cancelled()
    assert worker.submit(3, lambda: "too late").cancelled()


def test_an_error_is_described_by_type_and_place() -> None:
    try:
        raise KeyError("private text")
    except KeyError as error:
        described = describe(error)
    assert described.startswith("KeyError at ")
    assert "test_worker.py" in described
    assert "private" not in described
