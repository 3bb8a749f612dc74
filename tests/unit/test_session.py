"""What one connection asks of the inference thread, as requests ask it."""

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lsprotocol import types

from fakes import PHRASE, ScriptedEngine
from likely.engines.engine import Driver, Work
from likely.engines.interruption import Interrupted
from likely.lsp.client import Client
from likely.lsp.configuration import Configuration
from likely.lsp.documents import Document, Documents
from likely.lsp.features import completion, completion_item, hover, next_tokens
from likely.lsp.model_slot import ModelSlot, Running
from likely.lsp.scheduler import Scheduler
from likely.lsp.session import Session
from likely.prediction.lookahead import Answers
from likely.prediction.question import Question, distribution_after
from likely.settings import parse

PATIENCE = 120
A, B = "file:///a.txt", "file:///b.txt"
END = types.Position(0, len(PHRASE))


class Slot:
    """A model at hand, and the latencies that were told."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        self.running: Running | None = Running(Driver(self.engine), Answers(self.engine.model))
        self.latencies: list[float] = []

    def answered(self, seconds: float) -> None:
        self.latencies.append(seconds)

    def notice(self) -> str:
        return "no model yet"


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    assert scheduler.close(PATIENCE)


@pytest.fixture
def slot() -> Slot:
    return Slot()


@pytest.fixture
def session(scheduler: Scheduler, slot: Slot) -> Session:
    client = Client(item_markdown=True, hover_markdown=True, resolves_documentation=True)
    settings = SimpleNamespace(settings=parse({"lookAhead": False})[0])
    return Session(
        client,
        Documents("utf-16"),
        cast("Configuration", settings),
        cast("ModelSlot", slot),
        scheduler,
        lambda _settings: [],
        None,
    )


def at_once(result: str) -> Question[str]:
    """A question that needs nothing."""
    return result
    yield


def one_pass(token: int = 1) -> Question[float]:
    """A question that needs one distribution."""
    return (yield from distribution_after((token,))).entropy


def opened(session: Session, text: str = PHRASE, uri: str = A) -> Document:
    item = types.TextDocumentItem(uri, "plaintext", 1, text)
    session.documents.put_text_document(item)
    document = session.documents.find(uri)
    assert document
    return document


def identifier(uri: str) -> types.TextDocumentIdentifier:
    return types.TextDocumentIdentifier(uri)


async def complete(
    session: Session, at: types.Position = END, uri: str = A
) -> list[types.CompletionItem]:
    answer = await completion.handle(session, types.CompletionParams(identifier(uri), at))
    return list(answer.items)


async def idle(session: Session) -> None:
    """Wait until what was asked before is done."""
    await session.ask("nothing", "nowhere", at_once(""))


# Questions.


async def test_an_answer_comes_back_with_its_latency(session: Session, slot: Slot) -> None:
    assert await session.ask("hover", A, at_once("seven")) == "seven"
    assert len(slot.latencies) == 1


async def test_without_a_model_there_is_no_answer(session: Session, slot: Slot) -> None:
    slot.running = None
    assert await session.ask("hover", A, at_once("seven")) is None
    assert slot.latencies == []


async def test_a_failure_is_no_answer_and_its_text_is_not_logged(
    session: Session, slot: Slot, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Question[str]:
        yield from distribution_after((1,))
        raise ValueError("private text")

    assert await session.ask("hover", A, fail()) is None
    assert "hover failed: ValueError" in caplog.text
    assert "private" not in caplog.text
    assert slot.latencies == []


class Endless:
    """A pass that ends only when it is interrupted."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.interrupted = threading.Event()

    def __call__(self, engine: ScriptedEngine, work: Work) -> None:
        if engine.asked[-1] != (1,):
            return
        self.started.set()
        try:
            while True:
                work.poll()
        except Interrupted:
            self.interrupted.set()
            raise


@pytest.fixture
def endless(slot: Slot) -> Endless:
    """The pass after token 1 is endless."""
    during = Endless()
    slot.engine = ScriptedEngine(during=during)
    slot.running = Running(Driver(slot.engine), Answers(slot.engine.model))
    return during


async def test_the_later_question_takes_the_place_of_the_earlier(
    session: Session, endless: Endless
) -> None:
    first = asyncio.ensure_future(session.ask("completion", A, one_pass()))
    await asyncio.to_thread(endless.started.wait, PATIENCE)
    assert await session.ask("completion", A, at_once("later")) == "later"
    assert await first is None
    assert endless.interrupted.is_set()


async def test_a_cancelled_question_is_interrupted(session: Session, endless: Endless) -> None:
    task = asyncio.ensure_future(session.ask("completion", A, one_pass()))
    await asyncio.to_thread(endless.started.wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(endless.interrupted.wait, PATIENCE)


# What is kept for documents.


async def test_what_is_kept_for_a_document_is_freed_with_it(session: Session, slot: Slot) -> None:
    await session.ask("completion", A, one_pass(1))
    await session.ask("completion", B, one_pass(2))
    session.forget(A)
    await idle(session)
    assert slot.engine.released == [A]
    slot.engine.asked.clear()
    await session.ask("completion", B, one_pass(2))
    assert slot.engine.asked == []
    await session.ask("completion", B, one_pass(1))
    assert slot.engine.asked == [(1,)]


async def test_closing_one_document_leaves_the_answers_of_the_others(
    session: Session, slot: Slot
) -> None:
    opened(session, PHRASE, A)
    opened(session, "The world. " + PHRASE, B)
    at = types.Position(0, len("The world. " + PHRASE))
    await complete(session, END, A)
    items = await complete(session, at, B)
    before = len(slot.engine.asked)
    session.forget(A)
    await idle(session)
    assert await complete(session, at, B) == items
    assert len(slot.engine.asked) == before
    # A question that was not asked before, to show that passes would be seen.
    await session.ask("hover", B, one_pass(7))
    assert len(slot.engine.asked) == before + 1


# Asking changes nothing.


@pytest.mark.parametrize("after", ["", " visit"])
async def test_a_hover_does_not_move_where_one_types(session: Session, after: str) -> None:
    document = opened(session, "The world.\n" * 50 + PHRASE + after)
    await complete(session, types.Position(50, len(PHRASE)))
    typing = document.place
    assert typing == len("The world.\n" * 50 + PHRASE)
    for at in (types.Position(0, 0), types.Position(3, 4), types.Position(50, 999)):
        assert await hover.handle(session, types.HoverParams(identifier(A), at))
        assert document.place == typing


async def test_a_table_does_not_move_where_one_types(session: Session) -> None:
    document = opened(session, "The world.\n" * 50 + PHRASE)
    await complete(session, types.Position(50, len(PHRASE)))
    typing = document.place
    for at in (types.Position(0, 0), types.Position(3, 4)):
        params = types.TextDocumentPositionParams(identifier(A), at)
        assert (await next_tokens.handle(session, params))["markdown"]
        assert document.place == typing


# Details.


async def resolved(session: Session, item: types.CompletionItem) -> str:
    item = await completion_item.handle(session, item)
    assert isinstance(item.documentation, types.MarkupContent)
    return item.documentation.value


def figure(item: types.CompletionItem) -> str:
    return f"{item.data['probability']:.2%}"  # type: ignore[index]


async def test_an_item_of_an_old_list_gets_its_own_figures(session: Session) -> None:
    """The same rank, and in part the same tokens, in two lists."""
    opened(session, PHRASE, A)
    opened(session, PHRASE + " visit", B)
    old = await complete(session, END, A)
    new = await complete(session, types.Position(0, len(PHRASE + " visit")), B)
    assert {figure(item) for item in old[:2]} == {"40.00%", "20.00%"}
    assert {figure(item) for item in new[:2]} == {"60.00%", "20.00%"}
    for item in (*old[:3], *new[:3], *old[:3]):
        item.documentation = None
        assert figure(item) in await resolved(session, item)


async def test_an_old_item_whose_tokens_stand_in_a_newer_list_keeps_its_figures(
    session: Session,
) -> None:
    document = opened(session, PHRASE + " ", A)
    at = types.Position(0, len(PHRASE) + 1)
    old = await complete(session, at, A)
    document.apply(types.TextDocumentContentChangePartial(types.Range(at, at), "v"))
    new = await complete(session, types.Position(0, len(PHRASE) + 2), A)
    # What was typed speaks for the first candidate: the same tokens and rank, another figure.
    assert old[0].data["ids"] == new[0].data["ids"]  # type: ignore[index]
    assert old[0].sort_text == new[0].sort_text
    assert figure(old[0]) != figure(new[0])
    assert figure(old[0]) in await resolved(session, old[0])
    assert figure(new[0]) in await resolved(session, new[0])


async def test_an_item_of_a_list_long_gone_is_left_as_it_is(session: Session) -> None:
    opened(session, PHRASE + " the" * 12, A)
    first = (await complete(session, END, A))[0]
    for count in range(8):
        await complete(session, types.Position(0, len(PHRASE) + 4 * (count + 1)), A)
    assert (await completion_item.handle(session, first)).documentation is None


async def test_an_item_of_another_kind_is_left_as_it_is(session: Session) -> None:
    opened(session, PHRASE, A)
    await complete(session, END, A)
    data: Any
    for data in (None, {}, {"ids": [1]}, {"ids": "x", "logprob": 1.0}, [1, 2]):
        item = types.CompletionItem("x", sort_text="1", data=data)
        assert (await completion_item.handle(session, item)).documentation is None
