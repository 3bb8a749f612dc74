"""What one client's connection holds: the client, its documents and settings, the model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

from likely.lsp.client import Client
from likely.lsp.configuration import Configuration
from likely.lsp.documents import Documents
from likely.lsp.model_slot import ModelSlot, Running
from likely.lsp.scheduler import Scheduler, Superseded, describe
from likely.lsp.suppliers import ListModels
from likely.settings import Settings

if TYPE_CHECKING:
    from likely.lsp.render import Answer
    from likely.prediction.question import Agenda, Question

T = TypeVar("T")

_LISTS = 8
"""Completion lists whose items a client may still ask to resolve."""

_log = logging.getLogger(__name__)


class Session:
    """One client's connection; used in the event loop only."""

    def __init__(
        self,
        client: Client,
        documents: Documents,
        configuration: Configuration,
        slot: ModelSlot,
        scheduler: Scheduler,
        list_models: ListModels,
        suggest_command: str | None,
    ) -> None:
        self.client = client
        self.documents = documents
        self.list_models = list_models
        self.suggest_command = suggest_command
        self.lists: deque[Answer] = deque(maxlen=_LISTS)
        """The latest completion lists."""
        self._configuration = configuration
        self._slot = slot
        self._scheduler = scheduler

    @property
    def settings(self) -> Settings:
        """The settings in force now."""
        return self._configuration.settings

    @property
    def running(self) -> Running | None:
        """The model that answers now, None until the first is loaded."""
        return self._slot.running

    def notice(self) -> str:
        """What to say in place of an answer while there is no model; not yet escaped."""
        return self._slot.notice()

    async def ask(self, kind: str, uri: str, question: Question[T]) -> T | None:
        """Have a question answered on behalf of a document; None where nothing came of it.

        A later question of the same kind for the same document takes the place of this one.
        """
        from likely.engines.engine import Work

        running = self.running
        if running is None:
            return None
        driver, work = running.driver, Work(uri, self._scheduler.poll)
        asked = time.perf_counter()
        future = self._scheduler.ask((kind, uri), lambda: driver.steps(question, work))
        try:
            answer = await asyncio.wrap_future(future)
        except Superseded:
            return None
        except Exception as error:
            # A client would show an error to the user at every keystroke.
            _log.warning("%s failed: %s", kind, describe(error))
            return None
        self._slot.answered(time.perf_counter() - asked)
        return answer

    def look_ahead(self, uri: str, agenda: Agenda, max_rows: int) -> None:
        """Answer what is on the agenda while nobody waits for an answer."""
        from likely.engines.engine import Work

        if (running := self.running) is not None:
            driver, work = running.driver, Work(uri, self._scheduler.poll)
            self._scheduler.when_idle(lambda: driver.work_through(agenda, max_rows, work))

    def forget(self, uri: str) -> None:
        """Free what the model keeps for a document."""
        if (running := self.running) is not None:

            def release() -> Generator[None, None, None]:
                yield
                running.driver.release(uri)

            self._scheduler.ask(("forget", uri), release)
