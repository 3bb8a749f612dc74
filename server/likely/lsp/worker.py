"""The one inference thread: latest wins, cancellation, idle work."""

import logging
import threading
import traceback
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

IDLE_AFTER = 0.005
"""Seconds without a job after which idle work begins: the answer before it goes out first, since
Python's threads take turns."""

T = TypeVar("T")
Steps = Callable[[], Iterator[object]]

_log = logging.getLogger(__name__)


class Abandoned(Exception):  # noqa: N818 - the end of stale work is no error
    """Raised by `Worker.poll` inside work that nobody waits for any more."""


class Superseded(Exception):  # noqa: N818 - as above
    """The result of a request that a later one of its kind has replaced."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    key: Hashable
    work: Callable[[], Any]
    future: "Future[Any]"


class Worker:
    """Runs jobs one after another in its own thread.

    A job whose future is done before its work is (cancelled, or superseded by a later job of
    the same key) is stale: it is dropped, and work in progress ends at its next `poll`.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: list[_Job] = []
        self._running: _Job | None = None
        self._steps: Steps | None = None
        self._idling = False
        self._closed = False
        # A daemon, since a process must end even in the middle of a long forward pass.
        self._thread = threading.Thread(target=self._run, name="likely-inference", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, work: Callable[[], T]) -> "Future[T]":
        """Run `work` after what waits; an unfinished job of the same key ends as Superseded.

        The future is cancelled to abandon the work, waiting or running.
        """
        job = _Job(key, work, Future())
        with self._condition:
            if self._closed:
                job.future.cancel()
                return job.future
            stale = [other for other in self._waiting if other.key == key]
            if self._running is not None and self._running.key == key:
                stale.append(self._running)
            self._waiting = [other for other in self._waiting if other.key != key]
            self._waiting.append(job)
            self._condition.notify()
        for other in stale:
            _fail(other.future, Superseded())
        return job.future

    def when_idle(self, steps: Steps) -> None:
        """Take `steps` one by one while nothing waits, until a job comes; the latest wins."""
        with self._condition:
            self._steps = steps
            self._condition.notify()

    def poll(self) -> None:
        """Raise Abandoned where the work that runs in this thread has become stale."""
        if self._idling:
            if self._waiting or self._closed:
                raise Abandoned
        elif self._closed or (self._running is not None and self._running.future.done()):
            raise Abandoned

    def close(self, timeout: float) -> bool:
        """Abandon everything; whether the thread ended within `timeout` seconds."""
        with self._condition:
            self._closed = True
            waiting, self._waiting, self._steps = self._waiting, [], None
            self._condition.notify()
        for job in waiting:
            job.future.cancel()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._running = None
                while not (self._waiting or self._steps or self._closed):
                    self._condition.wait()
                if not self._waiting and not self._closed:
                    self._condition.wait(IDLE_AFTER)
                if self._closed:
                    return
                steps = None
                if self._waiting:
                    self._running = self._waiting.pop(0)
                else:
                    steps, self._steps = self._steps, None
            if self._running is not None:
                self._finish(self._running)
            elif steps is not None:
                self._idle(steps)

    def _finish(self, job: _Job) -> None:
        if job.future.done():
            return
        try:
            result = job.work()
        except Abandoned:
            job.future.cancel()
        except BaseException as error:  # whatever happens, the thread lives on
            _fail(job.future, error)
        else:
            with suppress(InvalidStateError):  # cancelled or superseded while it ran
                job.future.set_result(result)

    def _idle(self, steps: Steps) -> None:
        self._idling = True
        try:
            for _ in steps():
                self.poll()
        except Abandoned:
            pass
        except Exception as error:
            _log.warning("idle work failed: %s", describe(error))
        finally:
            self._idling = False


def describe(error: BaseException) -> str:
    """An error for the log: its type and place; its message may hold text of a document."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _fail(future: "Future[Any]", error: BaseException) -> None:
    with suppress(InvalidStateError):  # cancelled, answered or superseded before
        future.set_exception(error)
