"""The one inference thread: what is asked now, what may be asked next, what takes long.

Work comes as steps (generators that yield between two passes), so that it can be set aside at
any yield and taken up again where it was. Three kinds, the first always before the others:

- foreground: somebody waits for the answer; the latest of a key takes the place of earlier ones;
- idle: what will probably be asked next; there is one at a time, the latest;
- background: long work; every key keeps its place, and they take turns.
"""

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from likely.engines.interruption import Interrupted

IDLE_AFTER = 0.005
"""Seconds without foreground work after which other work goes on: the answer before it goes out
first, since Python's threads take turns."""

T = TypeVar("T")
Start = Callable[[], Generator[object, None, T]]
"""Begins work in steps; called in the inference thread."""

_log = logging.getLogger(__name__)


class Superseded(Exception):  # noqa: N818 - the end of stale work is no error
    """The result of work that later work of its key has replaced."""


class _Kind(Enum):
    FOREGROUND = "foreground"
    IDLE = "idle"
    BACKGROUND = "background"


@dataclass(slots=True, eq=False)
class _Job:
    kind: _Kind
    key: Hashable
    start: Start[Any]
    future: "Future[Any]"
    steps: Generator[object, None, Any] | None = None


class Scheduler:
    """Runs work in its own thread.

    Work whose future is done before it is (cancelled, or superseded) is stale: it is dropped at
    its next step, or in the middle of one at its next `poll`.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._foreground: deque[_Job] = deque()
        self._idle: _Job | None = None
        self._background: deque[_Job] = deque()
        self._running: _Job | None = None
        self._closed = False
        # A daemon, since a process must end even in the middle of a long forward pass.
        self._thread = threading.Thread(target=self._run, name="likely-inference", daemon=True)
        self._thread.start()

    def ask(self, key: Hashable, start: Start[T]) -> "Future[T]":
        """Do foreground work after what waits; unfinished work of the same key is superseded.

        The future is cancelled to abandon the work, waiting or running.
        """
        return self._add(_Job(_Kind.FOREGROUND, key, start, Future()))

    def when_idle(self, start: Start[None]) -> None:
        """Do this while nobody waits for an answer; earlier idle work is dropped."""
        self._add(_Job(_Kind.IDLE, None, start, Future()))

    def in_background(self, key: Hashable, start: Start[T]) -> "Future[T]":
        """Do long work while there is nothing else; unfinished work of the key is superseded.

        The future is cancelled to abandon the work, waiting or running.
        """
        return self._add(_Job(_Kind.BACKGROUND, key, start, Future()))

    def poll(self) -> None:
        """Raise `Interrupted` where the work that runs in this thread has to make way."""
        job = self._running
        if job is None:
            return
        makes_way = job.kind is not _Kind.FOREGROUND and self._foreground
        if self._closed or makes_way or job.future.done():
            raise Interrupted

    def close(self, timeout: float) -> bool:
        """Abandon everything; whether the thread ended within `timeout` seconds."""
        with self._condition:
            self._closed = True
            jobs = [*self._foreground, *self._background]
            jobs += [job for job in (self._idle, self._running) if job is not None]
            self._foreground.clear()
            self._background.clear()
            self._idle = None
            self._condition.notify()
        for job in jobs:
            job.future.cancel()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _add(self, job: _Job) -> "Future[Any]":
        with self._condition:
            if self._closed:
                job.future.cancel()
                return job.future
            stale = self._replace(job)
            self._condition.notify()
        for other in stale:
            _fail(other.future, Superseded())
        return job.future

    def _replace(self, job: _Job) -> list[_Job]:
        """Put a job into its queue; returns the unfinished ones whose place it takes."""
        if job.kind is _Kind.IDLE:
            stale = [self._idle] if self._idle else []
            self._idle = job
            return stale
        queue = self._foreground if job.kind is _Kind.FOREGROUND else self._background
        stale = [other for other in queue if other.key == job.key]
        for other in stale:
            queue.remove(other)
        queue.append(job)
        running = self._running
        if running is not None and running.kind is job.kind and running.key == job.key:
            stale.append(running)
        return stale

    def _run(self) -> None:
        answered = False
        while True:
            with self._condition:
                self._running = None
                if answered and not (self._foreground or self._closed):
                    self._condition.wait(IDLE_AFTER)
                while (job := self._next()) is None and not self._closed:
                    self._condition.wait()
                if job is None or self._closed:
                    return
                self._running = job
            answered = job.kind is _Kind.FOREGROUND
            self._take_steps(job)

    def _next(self) -> _Job | None:
        """The job whose turn it is; idle and background work keep their place in the queue."""
        if self._foreground:
            return self._foreground.popleft()
        if self._idle is not None:
            return self._idle
        if self._background:
            self._background.rotate(-1)
            return self._background[-1]
        return None

    def _take_steps(self, job: _Job) -> None:
        """Take the steps of a job until it ends or has to make way."""
        while True:
            if job.future.done():
                self._drop(job)
                return
            try:
                if job.steps is None:
                    job.steps = job.start()
                next(job.steps)
            except StopIteration as end:
                self._drop(job)
                with suppress(InvalidStateError):  # cancelled or superseded while it ran
                    job.future.set_result(end.value)
                return
            except BaseException as error:  # whatever happens, the thread lives on
                self._drop(job)
                if job.kind is _Kind.IDLE:
                    _log.warning("idle work failed: %s", describe(error))
                _fail(job.future, error)
                return
            if self._closed or (job.kind is not _Kind.FOREGROUND and self._must_rest(job)):
                return

    def _must_rest(self, job: _Job) -> bool:
        """Whether something comes before the next step of idle or background work."""
        if self._foreground or (job.kind is _Kind.BACKGROUND and self._idle is not None):
            return True
        return job.kind is _Kind.BACKGROUND and len(self._background) > 1

    def _drop(self, job: _Job) -> None:
        """Take a job that has ended out of its queue."""
        with self._condition:
            if self._idle is job:
                self._idle = None
            with suppress(ValueError):
                self._background.remove(job)
        if job.steps is not None:
            job.steps.close()


def describe(error: BaseException) -> str:
    """An error for the log: its type and place; its message may hold text of a document."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _fail(future: "Future[Any]", error: BaseException) -> None:
    with suppress(InvalidStateError):  # cancelled, answered or superseded before
        future.set_exception(error)
