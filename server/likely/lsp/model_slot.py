"""The model that answers, and the one that is being loaded behind it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from likely.lsp.loader import Loader
from likely.lsp.progress import WorkDone
from likely.lsp.protocol import STATUS
from likely.lsp.scheduler import describe
from likely.settings import Settings
from likely.text import escaping

if TYPE_CHECKING:
    from likely.engines.engine import Driver, Engine
    from likely.lsp.suppliers import LoadEngine
    from likely.prediction.lookahead import Answers
    from likely.prediction.question import LanguageModel

REPORT_EVERY = 0.1
"""Seconds between two reports of one step: downloads report every block."""
LATENCY_EVERY = 0.25
"""Seconds between two notifications of the latency of answers."""

_log = logging.getLogger(__name__)

State = Literal["loading", "ready", "error"]
Wish = tuple[str, str | None, str, int, Path | None, bool]


def wish_of(settings: Settings) -> Wish:
    """The settings that decide which model runs and where."""
    return (
        settings.model,
        settings.revision,
        settings.device,
        settings.threads,
        settings.cache_directory,
        settings.offline,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A model that answers: its engine's driver, and the answers that are kept."""

    driver: Driver
    answers: Answers

    @property
    def model(self) -> LanguageModel:
        """What is known of the model without running it."""
        return self.driver.model


class ModelSlot:
    """Holds the model and says how it fares; used in the event loop, told from a thread."""

    def __init__(
        self,
        server: LanguageServer,
        load: LoadEngine,
        installed: Callable[[], None],
        *,
        progress: bool,
        status: bool,
    ) -> None:
        self.running: Running | None = None
        self._server = server
        self._installed = installed
        self._shows_progress = progress
        self._sends_status = status
        self._loop = asyncio.get_running_loop()
        self._loader = Loader(load, self)
        self._wanted: Settings | None = None
        self._loaded: Wish | None = None
        self._state: State = "loading"
        self._message = ""
        self._percentage: int | None = None
        self._bar: WorkDone | None = None
        self._last_report = (-1.0, "")
        self._last_latency = 0.0

    def want(self, settings: Settings) -> None:
        """Have the model of these settings; the one at hand keeps answering until it is there."""
        if self._wanted is not None and wish_of(settings) == wish_of(self._wanted):
            return
        self._wanted = settings
        self._end_progress("")
        if wish_of(settings) == self._loaded:
            self._loader.want(None)
            self._show("ready", "")
            return
        if self._shows_progress:
            self._bar = WorkDone(self._server.protocol, f"Loading {settings.model}")
        self._show("loading", "")
        self._loader.want(settings)

    def notice(self) -> str:
        """What to say in place of an answer while there is no model; not yet escaped."""
        if self._state == "error":
            return f"Likely: {self._message}"
        share = "" if self._percentage is None else f" {self._percentage}%"
        step = f" ({self._message}{share})" if self._message else share
        name = self._wanted.model if self._wanted is not None else "the model"
        return f"Likely: loading {name} …{step}"

    def answered(self, seconds: float) -> None:
        """An answer was given so many seconds after it was asked for."""
        now = time.monotonic()
        if self._state == "ready" and now - self._last_latency >= LATENCY_EVERY:
            self._last_latency = now
            self._send_status(latency=round(1000 * seconds, 2))

    def close(self, timeout: float) -> bool:
        """Load nothing any more; whether the loading thread ended within `timeout` seconds."""
        self._end_progress("")
        return self._loader.close(timeout)

    def progressed(self, wish: Settings, message: str, fraction: float | None) -> None:
        """See `likely.lsp.loader.Listener`."""
        now, (then, before) = time.monotonic(), self._last_report
        if message == before and now - then < REPORT_EVERY and fraction != 1:
            return
        self._last_report = (now, message)
        self._in_loop(lambda: self._progressed(wish, message, fraction))

    def loaded(self, wish: Settings, engine: Engine) -> None:
        """See `likely.lsp.loader.Listener`."""
        self._in_loop(lambda: self._loaded_engine(wish, engine))

    def failed(self, wish: Settings, error: BaseException) -> None:
        """See `likely.lsp.loader.Listener`."""
        self._in_loop(lambda: self._failed(wish, error))

    def _in_loop(self, act: Callable[[], None]) -> None:
        # At the end of the process the loop is gone, and with it everyone to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

    def _progressed(self, wish: Settings, message: str, fraction: float | None) -> None:
        if wish is not self._wanted:
            return
        percentage = None if fraction is None else round(100 * min(max(fraction, 0.0), 1.0))
        if self._bar is not None:
            self._bar.report(message, percentage)
        self._show("loading", message, percentage)

    def _loaded_engine(self, wish: Settings, engine: Engine) -> None:
        if wish is not self._wanted:
            return
        from likely.engines.engine import Driver
        from likely.prediction.lookahead import Answers

        self.running = Running(Driver(engine), Answers(engine.model))
        self._loaded = wish_of(wish)
        self._end_progress("ready")
        self._show("ready", "")
        self._installed()

    def _failed(self, wish: Settings, error: BaseException) -> None:
        if wish is not self._wanted:
            return
        message = str(error).strip() or type(error).__name__
        _log.warning("loading failed: %s: %s", describe(error), escaping.line(message))
        if self.running is not None:
            message += f" ({self.running.model.name} stays in use)"
        self._end_progress("failed")
        self._show("error", message)
        # A client that is told the state shows it in its own way, with what can be done about it.
        if not self._sends_status:
            text = escaping.message(f"Likely: {message}")
            self._server.window_show_message(types.ShowMessageParams(types.MessageType.Error, text))

    def _end_progress(self, message: str) -> None:
        if self._bar is not None:
            self._bar.end(message)
            self._bar = None

    def _show(self, state: State, message: str, percentage: int | None = None) -> None:
        self._state, self._message, self._percentage = state, message, percentage
        self._send_status(latency=None)

    def _send_status(self, *, latency: float | None) -> None:
        if not self._sends_status or self._wanted is None:
            return
        self._server.protocol.notify(
            STATUS,
            {
                "state": self._state,
                "model": escaping.message(self._wanted.model),
                "message": escaping.message(self._message),
                "percentage": self._percentage,
                "latency": latency,
            },
        )
