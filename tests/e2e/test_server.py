"""The server process, driven over stdio by three kinds of editors; the model is scripted."""

import asyncio
import re
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from fakes import PHRASE
from lsp_client import (
    FAKE_SERVER,
    MINIMAL,
    NEOVIM,
    PATIENCE,
    PROFILES,
    URI,
    VSCODE,
    Client,
    Profile,
    connected,
    detail,
    eventually,
    shown,
    start_session,
)

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")

FAKE: dict[str, Any] = {"model": "fake", "k": 3}
END = (0, len(PHRASE))
CANDIDATES = [("·visit", "40.00%"), ("·celebrate", "20.00%"), ("·spend", "10.00%")]

profiles = pytest.mark.parametrize("profile", PROFILES, ids=str)


def options_for(profile: Profile, settings: dict[str, Any]) -> Any:
    """How a client says its settings at first: the minimal one is never asked."""
    return {"settings": settings} if profile is MINIMAL else None


def text_of(hover: types.Hover | None) -> str:
    assert hover
    assert isinstance(hover.contents, types.MarkupContent)
    return hover.contents.value


# Starting


@profiles
async def test_initialize_tells_what_the_server_can_do(profile: Profile) -> None:
    async with connected(profile, settings=FAKE) as client:
        able = client.capabilities_of_server
        assert able.position_encoding == profile.encoding
        sync = able.text_document_sync
        assert isinstance(sync, types.TextDocumentSyncOptions)
        assert sync.change is types.TextDocumentSyncKind.Incremental
        if profile is VSCODE:
            # Advertised twice, VS Code would list everything twice.
            assert able.completion_provider is None
            assert able.hover_provider is None
            assert able.notebook_document_sync
            await eventually(lambda: types.TEXT_DOCUMENT_HOVER in client.registered)
            await eventually(lambda: types.TEXT_DOCUMENT_COMPLETION in client.registered)
            assert types.WORKSPACE_DID_CHANGE_CONFIGURATION in client.registered
            options = client.registration(types.TEXT_DOCUMENT_COMPLETION)
            assert options["resolveProvider"]
            assert " " in options["triggerCharacters"]
        else:
            # Neovim takes registrations of hover, and none of completion.
            assert (able.hover_provider is None) == (profile is NEOVIM)
            assert able.completion_provider
            assert able.completion_provider.resolve_provider == (profile is MINIMAL)
            assert " " in (able.completion_provider.trigger_characters or ())
            if profile is NEOVIM:
                await eventually(lambda: types.TEXT_DOCUMENT_HOVER in client.registered)
            assert not {*client.registered} - {types.TEXT_DOCUMENT_HOVER}


async def test_loading_is_shown_and_answers_are_empty_until_the_model_is_there() -> None:
    async with connected(
        settings={"model": "slow-to-load"}, options={"likelyStatus": True}
    ) as client:
        client.open(PHRASE)
        await eventually(lambda: bool(client.progress_reports))
        early = await client.complete(*END)
        assert (early.items, early.is_incomplete) == ((), True)
        await eventually(lambda: any("percentage" in s for s in client.statuses))
        assert "loading slow-to-load" in text_of(await client.hover(0, 0))
        await client.ready()
        ((begin, *steps, end),) = client.progress_reports.values()
        assert isinstance(begin, types.WorkDoneProgressBegin)
        assert begin.title == "Loading slow-to-load"
        assert isinstance(end, types.WorkDoneProgressEnd)
        reports = [s for s in steps if isinstance(s, types.WorkDoneProgressReport)]
        known = [report.percentage or 0 for report in reports]
        assert len(known) > 5
        assert known[:-1] == sorted(known[:-1])
        assert reports[0].message == "Converting the weights"
        states = [status["state"] for status in client.statuses]
        assert states[0] == "loading"
        await eventually(lambda: any(s["latency"] is not None for s in client.statuses))
        last = client.statuses[-1]
        assert (last["state"], last["model"]) == ("ready", "slow-to-load")


@pytest.mark.parametrize("told", [True, False], ids=["told the status", "told by message"])
async def test_what_a_model_is_called_is_live_nowhere(told: bool) -> None:
    hostile = "missing [Fix it](command:workbench.action.terminal.new) $(rocket)\n\n# <b>x</b>\x1b"
    options = {"likelyStatus": told}
    async with connected(settings={"model": hostile}, options=options) as client:
        client.open(PHRASE)
        if told:
            await eventually(lambda: any(s["state"] == "error" for s in client.statuses))
        else:
            await eventually(lambda: bool(client.messages))
        titles: list[str] = []
        for bar in client.progress_reports.values():
            steps: list[Any] = list(bar)
            titles += [
                step.title for step in steps if isinstance(step, types.WorkDoneProgressBegin)
            ]
        shown = [*titles, *(message.message for message in client.messages)]
        shown += [status[name] for status in client.statuses for name in ("model", "message")]
        assert any("Fix it" in text for text in shown)
        for text in shown:
            assert "](" not in text
            assert "$(" not in text
            assert text.isprintable()
        hover = text_of(await client.hover(0, 0))
        table = (await client.request("likely/nextTokens", hover_at(0, 0))).markdown
        for markdown in (hover, table):
            assert "\\[Fix it\\](command:" in markdown
            assert "\\<b\\>" in markdown
            assert "\n" not in markdown


def hover_at(line: int, character: int) -> types.TextDocumentPositionParams:
    place = types.Position(line, character)
    return types.TextDocumentPositionParams(types.TextDocumentIdentifier(URI), place)


async def test_status_is_sent_only_to_clients_that_know_it() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        assert client.statuses == []


async def test_a_client_that_never_answers_its_configuration_blocks_nothing() -> None:
    async with connected(
        options={"likely": {"model": "fake", "k": 2}}, answers_configuration=False
    ) as client:
        client.open(PHRASE)
        await client.ready()
        assert shown(await client.complete(*END)) == CANDIDATES[:2]


# Completion and hover


@profiles
async def test_candidates_come_with_descending_percentages(profile: Profile) -> None:
    async with connected(profile, settings=FAKE, options=options_for(profile, FAKE)) as client:
        client.open(PHRASE)
        await client.ready()
        answer = await client.complete(*END)
        assert answer.is_incomplete
        assert shown(answer) == CANDIDATES
        for rank, item in enumerate(answer.items, 1):
            assert item.sort_text == f"{rank:03}"
            assert (item.label_details is not None) == (profile is VSCODE)
            assert (item.documentation is not None) == (profile is NEOVIM)
            assert item.insert_text_format is types.InsertTextFormat.PlainText
            assert isinstance(item.text_edit, types.TextEdit)
            assert item.text_edit.new_text == " to" + item.label.replace("·", " ")
            assert item.text_edit.range == types.Range(types.Position(0, 19), types.Position(*END))
            assert item.data
            figure = float(detail(item).rstrip("%")) / 100
            assert item.data["probability"] == pytest.approx(figure, abs=1e-4)
            assert item.data.keys() == {"ids", "probability", "logprob"}
        resolved = answer.items[1]
        if profile is not NEOVIM:
            resolved = await client.completion_item_resolve_async(resolved)
        assert isinstance(resolved.documentation, types.MarkupContent)
        markdown = resolved.documentation.kind is types.MarkupKind.Markdown
        # Neovim shows the source of Markdown beside a list, and takes plain text.
        assert markdown == (profile is VSCODE)
        for part in ("20.00% (exact)", "-1.609", "2.32 bits", "20 63 65 6c", "Typed so far"):
            assert part in resolved.documentation.value


async def test_a_list_narrows_to_what_is_typed_and_edits_are_right() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE + "!")
        await client.ready()
        client.change(" sp", (*END, *END))
        answer = await client.complete(0, len(PHRASE) + 3)
        first = answer.items[0]
        assert first.label == "·spend"
        assert isinstance(first.text_edit, types.TextEdit)
        place = first.text_edit.range
        client.change(
            first.text_edit.new_text,
            (place.start.line, place.start.character, place.end.line, place.end.character),
        )
        reading = text_of(await client.hover(0, len(PHRASE) + 3))
        assert reading.startswith("`·spend`")
        assert text_of(await client.hover(0, len(PHRASE) + 6)).startswith("`!`")


@profiles
async def test_hover_reads_the_token_under_the_position(profile: Profile) -> None:
    async with connected(profile, settings=FAKE, options=options_for(profile, FAKE)) as client:
        client.open(PHRASE + " visit\nnow")
        await client.ready()
        found = await client.hover(0, len(PHRASE) + 2)
        assert found
        start, end = types.Position(0, len(PHRASE)), types.Position(0, len(PHRASE) + 6)
        assert found.range == types.Range(start, end)
        text = text_of(found)
        for part in ("40.00% (raw)", "-0.916", "1.32 bits", "rank 1", "entropy", "token id"):
            assert part in text
        assert re.search(r"celebrate.*20\.00%.*█", text)
        assert ("**40.00% (raw)**" in text) == (profile is not MINIMAL)
        # Past a line's last character: its line end. Past the text: what may come next.
        assert "⏎" in text_of(await client.hover(0, 99)).splitlines()[0]
        assert "all others" in text_of(await client.hover(7, 7)).replace("|", "")
        next_tokens = text_of(await client.hover(1, 99)).splitlines()
        assert (next_tokens[0] == "```text") == (profile is NEOVIM)
        assert "probability" in next_tokens[profile is NEOVIM]


async def test_the_next_token_table_and_the_models_can_be_asked_for() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        place = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 99}}
        table = await client.request("likely/nextTokens", place)
        assert "| `·visit` | 40.00% | ████████████████ |" in table.markdown
        assert (table.model, table.typed) == ("fake", "to")
        listed = await client.request("likely/models", {})
        assert [(m.name, m.cached, m.size) for m in listed.models] == [
            ("fake", True, 1000),
            ("fake", False, None),
        ]


@pytest.mark.parametrize("goes_on", [True, False])
async def test_accepting_opens_the_next_list_where_that_is_wanted(goes_on: bool) -> None:
    settings = {**FAKE, "completion": {"continueAfterAccept": goes_on}}
    async with connected(settings=settings, options={"suggestCommand": "suggest"}) as client:
        client.open(PHRASE)
        await client.ready()
        command = (await client.complete(*END)).items[0].command
        assert (command is not None and command.command == "suggest") == goes_on


async def test_a_client_without_a_suggest_command_gets_none() -> None:
    async with connected(NEOVIM, settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        assert (await client.complete(*END)).items[0].command is None


# Settings


@profiles
async def test_a_changed_k_is_in_force_at_the_next_keystroke(profile: Profile) -> None:
    async with connected(profile, settings=FAKE, options=options_for(profile, FAKE)) as client:
        client.open(PHRASE)
        await client.ready()
        for k in (5, 1):
            changed = {**FAKE, "k": k}
            if profile is VSCODE:
                client.set_settings(**changed)
                # The server has to ask; the answer comes before what is sent after it.
                await client.complete(*END)
            else:
                pushed = {"likely": changed} if profile is MINIMAL else {"likely": {"k": k}}
                params = types.DidChangeConfigurationParams(pushed)
                client.workspace_did_change_configuration(params)
            assert len((await client.complete(*END)).items) == k


async def test_completion_and_hover_can_be_turned_off() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        client.set_settings(**FAKE, completion={"enabled": False}, hover={"enabled": False})
        await client.complete(*END)
        answer = await client.complete(*END)
        assert (answer.items, answer.is_incomplete) == ((), False)
        assert await client.hover(0, 0) is None


async def test_trigger_characters_are_registered_anew_and_obeyed_at_once() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        assert (await client.complete(*END, trigger=" ")).items
        client.set_settings(**FAKE, completion={"triggerCharacters": ["+"]})

        def told() -> bool:
            options = client.registration(types.TEXT_DOCUMENT_COMPLETION)
            return options.get("triggerCharacters") == ["+"]

        await eventually(told)
        assert not (await client.complete(*END, trigger=" ")).items
        assert (await client.complete(*END, trigger="+")).items


@profiles
async def test_malformed_settings_are_one_message_and_no_more(profile: Profile) -> None:
    settings = {"model": "fake", "k": "lots", "hover": {"k": -1}, "completion": {"mode": "best"}}
    async with connected(profile, settings=settings, options=options_for(profile, settings)) as c:
        c.open(PHRASE)
        await c.ready()
        assert len((await c.complete(*END)).items) == 10
        await eventually(lambda: bool(c.messages))
        c.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
        c.open(PHRASE)
        await c.complete(*END)
        (message,) = c.messages
        assert message.type is types.MessageType.Warning
        for name in ("likely.k", "likely.hover.k", "likely.completion.mode"):
            assert name in message.message


@pytest.mark.parametrize("malformed", ["k=5", ["k"], 5, {"likely": "k=5"}])
async def test_settings_that_are_no_object_are_a_message(malformed: Any) -> None:
    async with connected(MINIMAL, options={"settings": FAKE}) as client:
        client.open(PHRASE)
        await client.ready()
        client.workspace_did_change_configuration(types.DidChangeConfigurationParams(malformed))
        assert shown(await client.complete(*END)) == CANDIDATES
        assert [m.message.split(":")[1].strip() for m in client.messages] == ["likely"]


# Models


async def test_a_client_that_is_told_the_state_shows_a_failure_itself() -> None:
    async with connected(settings={"model": "missing"}, options={"likelyStatus": True}) as client:
        client.open(PHRASE)
        await eventually(lambda: bool(client.statuses) and client.statuses[-1]["state"] == "error")
        expected = "there is no model missing; set `likely.model` to another"
        assert client.statuses[-1]["message"] == expected
        place = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 99}}
        table = await client.request("likely/nextTokens", place)
        escaped = expected.replace("`", "\\`")
        assert (table.markdown, table.model) == (f"Likely: {escaped}", "")
        assert not client.messages


async def test_a_model_that_fails_to_load_is_said_once_and_mended_by_the_setting() -> None:
    async with connected(settings={"model": "missing"}) as client:
        client.open(PHRASE)
        await eventually(lambda: bool(client.messages))
        assert "there is no model missing" in text_of(await client.hover(0, 0))
        for _ in range(3):
            assert not (await client.complete(*END)).items
        client.set_settings(model="missing", k=3)
        await client.complete(*END)
        (message,) = client.messages
        assert message.type is types.MessageType.Error
        assert message.message == (
            "Likely: there is no model missing; set `likely.model` to another"
        )
        client.set_settings(**FAKE)
        await client.ready()
        assert shown(await client.complete(*END)) == CANDIDATES
        assert len(client.messages) == 1
        ended = [reports[-1] for reports in client.progress_reports.values()]
        assert all(isinstance(report, types.WorkDoneProgressEnd) for report in ended)


@pytest.mark.parametrize("broken", ["missing", "crash"])
async def test_the_old_model_answers_while_the_new_one_fails(broken: str) -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        client.set_settings(**{**FAKE, "model": broken})
        await eventually(lambda: bool(client.messages))
        assert shown(await client.complete(*END)) == CANDIDATES
        assert "(fake stays in use)" in client.messages[0].message
        # Back to the one that is there: nothing is loaded again.
        loadings = len(client.progress_reports)
        client.set_settings(**FAKE)
        assert shown(await client.complete(*END)) == CANDIDATES
        assert len(client.progress_reports) == loadings


async def test_a_new_model_is_loaded_behind_the_old_one() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        client.set_settings(**{**FAKE, "model": "slow-to-load"})
        await eventually(lambda: len(client.progress_reports) == 2)
        assert "`fake`" in text_of(await client.hover(0, 0))

        async def switched() -> bool:
            return "`slow-to-load`" in text_of(await client.hover(0, 0))

        await eventually(switched)
        assert shown(await client.complete(*END)) == CANDIDATES


async def test_a_model_that_fails_at_work_leaves_the_server_alive() -> None:
    async with connected(settings={"model": "failing"}) as client:
        client.open(PHRASE + " visit")
        await client.loaded()
        answer = await client.complete(*END)
        assert (answer.items, answer.is_incomplete) == ((), True)
        assert await client.hover(0, 6) is None
        assert not client.messages
        client.set_settings(**FAKE)
        await client.ready()
        assert shown(await client.complete(*END)) == CANDIDATES
    assert b"completion failed: ValueError" in client.log
    assert b"private" not in client.log


# Requests that nobody waits for any more


async def test_a_cancelled_request_is_answered_as_such_and_its_pass_abandoned() -> None:
    async with connected(settings={"model": "slow", "lookAhead": False}) as client:
        client.open(PHRASE)
        await client.loaded()
        place = types.TextDocumentIdentifier(URI)
        for kind in range(3):
            asked = client.protocol.send_request(
                types.TEXT_DOCUMENT_COMPLETION,
                types.CompletionParams(place, types.Position(*END)),
                msg_id=f"cancel-{kind}",
            )
            await asyncio.sleep(0.1)
            client.cancel_request(types.CancelParams(f"cancel-{kind}"))
            with pytest.raises(JsonRpcException) as raised:
                # A pass takes longer than anybody waits here, unless it is abandoned.
                await asyncio.wait_for(asyncio.wrap_future(asked), PATIENCE)
            assert raised.value.code == -32800


async def test_the_latest_of_a_burst_wins_and_everyone_gets_one_response() -> None:
    async with connected(settings={"model": "slow", "lookAhead": False}) as client:
        client.open(PHRASE)
        await client.loaded()
        requests = []
        for _ in range(6):
            params = types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(*END))
            requests.append(asyncio.ensure_future(client.text_document_completion_async(params)))
            await asyncio.sleep(0.02)
        for request in requests[:-1]:
            answer = await asyncio.wait_for(request, PATIENCE)
            assert isinstance(answer, types.CompletionList)
            assert (answer.items, answer.is_incomplete) == ((), True)
        assert not requests[-1].done()
        requests[-1].cancel()


async def test_where_the_cursor_moves_an_answer_is_prepared() -> None:
    """Seen by the log of a model that fails whenever it is asked."""
    async with connected(settings={"model": "failing"}) as client:
        client.open("\n" * 3000 + PHRASE)
        await client.loaded()
        place = types.TextDocumentIdentifier(URI)
        for line in (0, 3000):
            assert b"idle work failed" not in client.log
            client.protocol.notify(
                "likely/cursorMoved",
                types.TextDocumentPositionParams(place, types.Position(line, 4)),
            )
            await asyncio.sleep(0.3)
        await eventually(lambda: b"idle work failed: ValueError" in client.log)


# Text


BEFORE = ("", "\f", "a\u2028b\n", "😀\r\n", "e\u0301漢👩\u200d👧 ", "\r", "\x85\x1c\v", "x\r\n\n")


@pytest.mark.parametrize("profile", [VSCODE, NEOVIM], ids=str)
async def test_edits_around_odd_characters_keep_the_text_right(profile: Profile) -> None:
    """The text is built by edits in the client's units; the script knows only the right text."""
    async with connected(profile, settings=FAKE) as client:
        for number, before in enumerate(BEFORE):
            uri = f"file:///{number}.txt"
            client.open(before + "x" + "\fsecond\u2028 line\n", uri)
            await client.ready(uri)
            lines = re.split(r"\r\n|\n|\r", before)
            encoded = lines[-1].encode(profile.encoding + ("-le" if profile is VSCODE else ""))
            line, start = len(lines) - 1, len(encoded) // (2 if profile is VSCODE else 1)
            client.change("", (line, start, line, start + 1), uri)
            at = start
            for character in PHRASE:
                client.change(character, (line, at, line, at), uri)
                at += 1
            answer = await client.complete(line, at, uri)
            assert shown(answer)[0][0] == "·visit", repr(before)
            found = await client.hover(line, at - 1, uri)
            assert found
            place = types.Range(types.Position(line, at - 3), types.Position(line, at))
            assert found.range == place, repr(before)


async def test_untitled_documents_and_notebook_cells_are_completed() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE, uri="untitled:Untitled-1")
        await client.ready("untitled:Untitled-1")
        assert shown(await client.complete(*END, uri="untitled:Untitled-1")) == CANDIDATES
        cells = ["vscode-notebook-cell:/n.ipynb#W0", "vscode-notebook-cell:/n.ipynb#W1"]
        client.notebook_document_did_open(
            types.DidOpenNotebookDocumentParams(
                types.NotebookDocument(
                    "file:///n.ipynb",
                    "jupyter-notebook",
                    1,
                    [types.NotebookCell(types.NotebookCellKind.Code, uri) for uri in cells],
                ),
                [types.TextDocumentItem(uri, "python", 1, PHRASE) for uri in cells],
            )
        )
        for uri in cells:
            assert shown(await client.complete(*END, uri=uri)) == CANDIDATES


ODD: tuple[tuple[str, tuple[int, int]], ...] = (
    ("", (0, 0)),
    ("", (10, 10)),
    ("x" * 5_000_000, (0, 5_000_000)),
    ("é" * 2_500_000, (0, 1_000_000)),
    ("a\ud800b\udc00", (0, 4)),
    ("a\0b\0", (0, 4)),
    ("short", (0, 1_000_000)),
    ("short", (2_000_000_000, 0)),
    ("<|endoftext|>", (0, 13)),
    ("\n" * 100_000, (99_999, 0)),
)


async def test_odd_text_and_positions_are_answered() -> None:
    async with connected(settings=FAKE) as client:
        for number, (text, at) in enumerate(ODD):
            uri = f"file:///{number}.txt"
            client.open(text, uri)
            await client.ready(uri)
            answers = [await client.complete(*at, uri)]
            await client.hover(*at, uri)
            client.change("y", (*at, *at), uri)
            answers.append(await client.complete(*at, uri))
            assert not client.messages
            assert all(answer.is_incomplete for answer in answers)
            for item in answers[0].items:
                assert isinstance(item.text_edit, types.TextEdit)
                item.text_edit.new_text.encode()


async def test_an_unopened_document_is_answered_with_nothing() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        for uri in ("file:///nowhere.txt", "untitled:x", "", "%%%", "file:///%00"):
            answer = await client.complete(0, 0, uri)
            assert (answer.items, answer.is_incomplete) == ((), False)
            assert await client.hover(0, 0, uri) is None
            client.change("x", (0, 0, 0, 0), uri)
            client.text_document_did_close(
                types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
            )
        assert shown(await client.complete(*END)) == CANDIDATES
        assert not client.messages


async def test_a_request_that_makes_no_sense_gets_its_one_response() -> None:
    async with connected(settings=FAKE) as client:
        client.open(PHRASE)
        await client.ready()
        for method, params in (
            ("textDocument/completion", {"position": "here"}),
            ("textDocument/hover", {}),
            ("likely/nextTokens", {"textDocument": 3}),
            ("likely/unknown", {}),
        ):
            with pytest.raises(JsonRpcException):
                await client.request_as_it_is(method, params)
        assert shown(await client.complete(*END)) == CANDIDATES
        assert not client.messages


# Privacy, transports, the end


async def test_no_text_of_a_document_reaches_the_log_and_prints_are_no_protocol() -> None:
    secret = "my private diary"
    async with connected(settings=FAKE) as client:
        client.open(secret)
        await client.ready()
        client.change("even more private", (0, 0, 0, 0))
        for params in ({"position": secret}, {"textDocument": {"uri": secret}}):
            with pytest.raises(JsonRpcException):
                await client.request_as_it_is("textDocument/completion", params)
        for method in ("textDocument/didChange", "textDocument/didOpen", secret):
            client.send_as_it_is({"jsonrpc": "2.0", "method": method, "params": {"text": secret}})
        await client.complete(0, 3)
    assert b"private" not in client.log
    assert b"a library that prints to standard output" in client.log


async def test_one_client_is_served_over_tcp() -> None:
    process = await asyncio.create_subprocess_exec(
        *FAKE_SERVER, "0", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    announced = re.fullmatch(
        rb"likely: serving on 127\.0\.0\.1:(\d+)\n", await process.stderr.readline()
    )
    assert announced
    client = Client()
    client.set_configuration({"likely": FAKE})
    await client.start_tcp("127.0.0.1", int(announced[1]))
    await start_session(client, VSCODE, None)
    client.open("")
    await client.ready()
    # Many messages in one packet: each is answered for the text as it was when it was asked.
    requests = []
    for count, character in enumerate(PHRASE, 1):
        client.change(character, (0, count - 1, 0, count - 1))
        requests.append(asyncio.ensure_future(client.complete(0, count)))
    answers = await asyncio.gather(*requests)
    assert shown(answers[-1]) == CANDIDATES
    await client.shutdown_async(None)
    client.exit(None)
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def test_an_address_in_use_is_one_line() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *FAKE_SERVER, str(port), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    server.close()
    assert process.returncode == 2
    assert errors.startswith(f"likely: cannot serve on 127.0.0.1:{port}: ".encode())
    assert errors.count(b"\n") == 1


@pytest.mark.parametrize("model", ["fake", "slow", "stuck", "stuck-at-loading"])
async def test_the_process_ends_whatever_it_does(model: str) -> None:
    """What it does takes longer than anybody waits here."""
    async with connected(settings={"model": model}) as client:
        client.open(PHRASE)
        await eventually(lambda: any(client.progress_reports.values()))
        pending = asyncio.ensure_future(client.complete(*END))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(client.shutdown_session(), PATIENCE)
        assert client.process.returncode == 0
        pending.cancel()


async def test_a_server_whose_client_is_gone_ends_as_well() -> None:
    async with connected(settings={"model": "slow"}) as client:
        client.open(PHRASE)
        await eventually(lambda: any(client.progress_reports.values()))
        assert client.process.stdin
        client.process.stdin.close()
        assert await asyncio.wait_for(client.process.wait(), PATIENCE) == 1
