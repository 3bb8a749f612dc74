"""Loads models in a thread of its own; the latest wish wins."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from likely.settings import Settings

if TYPE_CHECKING:
    from likely.engines.engine import Engine
    from likely.lsp.suppliers import LoadEngine


class _Abandoned(Exception):  # noqa: N818 - the end of stale work is no error
    """Raised inside the loading of a model that nobody wants any more."""


class Listener(Protocol):
    """Told from the loading thread how the latest wish fares."""

    def progressed(self, wish: Settings, message: str, fraction: float | None) -> None:
        """A step was reached; `fraction` from 0 to 1 where it is known."""
        ...

    def loaded(self, wish: Settings, engine: Engine) -> None:
        """The model is ready."""
        ...

    def failed(self, wish: Settings, error: BaseException) -> None:
        """The model cannot be had."""
        ...


class Loader:
    """One thread that loads one model after another."""

    def __init__(self, load: LoadEngine, listener: Listener) -> None:
        self._load = load
        self._listener = listener
        self._condition = threading.Condition()
        self._wish: Settings | None = None
        self._closed = False
        # A daemon, since a process must end even in the middle of an import or a download.
        self._thread = threading.Thread(target=self._run, name="likely-loading", daemon=True)
        self._thread.start()

    def want(self, wish: Settings | None) -> None:
        """Load the model of these settings; a load under way is abandoned. None: load nothing."""
        with self._condition:
            self._wish = wish
            self._condition.notify()

    def close(self, timeout: float) -> bool:
        """Abandon everything; whether the thread ended within `timeout` seconds."""
        with self._condition:
            self._closed = True
            self._wish = None
            self._condition.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        tried: Settings | None = None
        while True:
            with self._condition:
                while not self._closed and (self._wish is None or self._wish is tried):
                    self._condition.wait()
                if self._wish is None:
                    return
                tried = self._wish
            self._try(tried)

    def _try(self, wish: Settings) -> None:
        def progress(message: str, fraction: float | None) -> None:
            if self._wish is not wish:
                raise _Abandoned
            self._listener.progressed(wish, message, fraction)

        try:
            engine = self._load(wish, progress)
        except _Abandoned:
            return
        except BaseException as error:  # whatever happens, the thread lives on
            self._listener.failed(wish, error)
        else:
            self._listener.loaded(wish, engine)
