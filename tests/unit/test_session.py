"""Questions to the inference thread, as requests ask them."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from likely.lsp.worker import Abandoned, Worker
from likely.prediction.predictor import Predictor

from fakes import FakeModel
from likely.lsp.client import Client
from likely.lsp.documents import Documents
from likely.lsp.model_slot import ModelSlot
from likely.lsp.session import Session

PATIENCE = 120


class Slot:
    """A model at hand, and the latencies that were told."""

    def __init__(self) -> None:
        self.model = FakeModel()
        self.predictor = Predictor(self.model)
        self.latencies: list[float] = []

    def answered(self, seconds: float) -> None:
        self.latencies.append(seconds)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    assert worker.close(PATIENCE)


@pytest.fixture
def slot() -> Slot:
    return Slot()


@pytest.fixture
def session(worker: Worker, slot: Slot) -> Session:
    documents = Documents("utf-16")
    configuration = cast("Any", None)
    return Session(Client(), documents, configuration, cast("ModelSlot", slot), worker, None)


async def test_an_answer_comes_back_with_its_latency(session: Session, slot: Slot) -> None:
    assert await session.ask("hover", "a", FakeModel(), lambda: 7) == 7
    assert len(slot.latencies) == 1


async def test_a_failure_is_no_answer_and_its_text_is_not_logged(
    session: Session, slot: Slot, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise ValueError("private text")

    assert await session.ask("hover", "a", FakeModel(), fail) is None
    assert "hover failed: ValueError" in caplog.text
    assert "private" not in caplog.text
    assert slot.latencies == []


async def test_the_later_question_takes_the_place_of_the_earlier(
    session: Session, worker: Worker
) -> None:
    started = threading.Event()

    def endless() -> str:
        started.set()
        while True:
            worker.poll()

    first = asyncio.ensure_future(session.ask("completion", "a", FakeModel(), endless))
    await asyncio.to_thread(started.wait, PATIENCE)
    assert await session.ask("completion", "a", FakeModel(), lambda: "later") == "later"
    assert await first is None


async def test_a_cancelled_question_abandons_its_work(session: Session, worker: Worker) -> None:
    started, abandoned = threading.Event(), threading.Event()

    def endless() -> None:
        started.set()
        try:
            while True:
                worker.poll()
        except Abandoned:
            abandoned.set()
            raise

    task = asyncio.ensure_future(session.ask("completion", "a", FakeModel(), endless))
    await asyncio.to_thread(started.wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(abandoned.wait, PATIENCE)


async def test_what_is_kept_for_a_document_is_freed_with_it(session: Session, slot: Slot) -> None:
    await session.ask("completion", "a", slot.model, lambda: None)
    assert slot.model.owner == "a"
    session.forget("a")
    await session.ask("completion", "b", FakeModel(), lambda: None)
    assert slot.model.released == ["a"]
