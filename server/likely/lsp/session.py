"""What a request needs: the client, its documents and settings, the model, the inference thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from likely.lsp.client import Client
from likely.lsp.configuration import Configuration
from likely.lsp.documents import Documents
from likely.lsp.model_slot import ModelSlot
from likely.lsp.worker import Steps, Superseded, Worker, describe
from likely.settings import Settings

if TYPE_CHECKING:
    from likely.lsp.render import Answer
    from likely.lsp.served_model import ServedModel
    from likely.prediction.predictor import Predictor

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Session:
    """One client's connection; used in the event loop only."""

    def __init__(
        self,
        client: Client,
        documents: Documents,
        configuration: Configuration,
        slot: ModelSlot,
        worker: Worker,
        suggest_command: str | None,
    ) -> None:
        self.client = client
        self.documents = documents
        self.suggest_command = suggest_command
        self.last_answer: Answer | None = None
        """The latest completion list, whose items the client may ask to resolve."""
        self._configuration = configuration
        self._slot = slot
        self._worker = worker

    @property
    def settings(self) -> Settings:
        """The settings in force now."""
        return self._configuration.settings

    @property
    def predictor(self) -> Predictor[ServedModel] | None:
        """The model that answers now, None until the first is loaded."""
        return self._slot.predictor

    def when_idle(self, steps: Steps) -> None:
        """Have the inference thread take `steps` while nobody waits for an answer."""
        self._worker.when_idle(steps)

    def forget(self, uri: str) -> None:
        """Free what the model keeps for a document."""
        if (predictor := self.predictor) is not None:

            def release() -> None:
                predictor.model.release(uri)
                predictor.forget()

            self._worker.submit(("forget", uri), release)

    def notice(self) -> str:
        """What to say in place of an answer while there is no model; not yet escaped."""
        return self._slot.notice()

    async def ask(self, kind: str, uri: str, model: ServedModel, work: Callable[[], T]) -> T | None:
        """Have `model` do `work` on behalf of a document; None where nothing came of it.

        A later request of the same kind for the same document takes the place of this one.
        """

        def work_for_document() -> T:
            model.owner = uri
            return work()

        asked = time.perf_counter()
        try:
            answer = await asyncio.wrap_future(self._worker.submit((kind, uri), work_for_document))
        except Superseded:
            return None
        except Exception as error:
            # A client would show an error to the user at every keystroke.
            _log.warning("%s failed: %s", kind, describe(error))
            return None
        self._slot.answered(time.perf_counter() - asked)
        return answer
