"""Three kinds of editors, and a connection to a real server process in which to test with them."""

import asyncio
import copy
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_lsp
from lsprotocol import types
from pygls.client import JsonRPCClient
from pygls.protocol import default_converter
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES, register_lsp_features

FAKE_SERVER = (sys.executable, str(Path(__file__).parent / "e2e" / "fake_server.py"))
REAL_SERVER = (sys.executable, "-m", "likely", "serve")
PATIENCE = 120.0
"""Seconds; no claim about speed, but what a busy machine may take."""
URI = "file:///notes.txt"


def _vscode() -> types.ClientCapabilities:
    """VS Code 1.139: what its language client declares, as far as it matters here."""
    capabilities = pytest_lsp.client_capabilities("visual_studio_code@v1.65.2")
    assert capabilities.text_document
    assert capabilities.text_document.completion
    item = capabilities.text_document.completion.completion_item
    assert item
    item.label_details_support = True
    capabilities.general = types.GeneralClientCapabilities(position_encodings=["utf-16"])
    capabilities.notebook_document = types.NotebookDocumentClientCapabilities(
        synchronization=types.NotebookDocumentSyncClientCapabilities()
    )
    return capabilities


@dataclass(frozen=True)
class Profile:
    """An editor: its name, what it calls itself and what it can do."""

    name: str
    title: str
    capabilities: types.ClientCapabilities
    encoding: str

    def __str__(self) -> str:
        return self.name


VSCODE = Profile("vscode", "Visual Studio Code", _vscode(), "utf-16")
NEOVIM = Profile("neovim", "Neovim", pytest_lsp.client_capabilities("neovim@v0.11.0"), "utf-8")
MINIMAL = Profile("minimal", "minimal", types.ClientCapabilities(), "utf-16")
PROFILES = (VSCODE, NEOVIM, MINIMAL)


class Client(pytest_lsp.LanguageClient):
    """A language client that remembers what the server told it."""

    def __init__(self) -> None:
        super().__init__(converter_factory=default_converter)
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.statuses: list[dict[str, Any]] = []
        self.registered: dict[str, types.Registration] = {}
        self.log = b""
        self.capabilities_of_server: types.ServerCapabilities
        self.versions: dict[str, int] = {}

        async def configure(params: types.ConfigurationParams) -> list[Any]:
            await self.may_answer.wait()
            return [self.get_configuration(section=item.section) for item in params.items]

        def register(params: types.RegistrationParams) -> None:
            self.registered.update({r.method: r for r in params.registrations})

        def unregister(params: types.UnregistrationParams) -> None:
            for gone in params.unregisterations:
                del self.registered[gone.method]

        features = {
            **DEFAULT_CLIENT_FEATURES,
            types.WORKSPACE_CONFIGURATION: configure,
            types.CLIENT_REGISTER_CAPABILITY: register,
            types.CLIENT_UNREGISTER_CAPABILITY: unregister,
            "likely/status": lambda params: self.statuses.append(params._asdict()),
        }
        register_lsp_features(self, features)

    async def start_io(self, cmd: str, *args: Any, **kwargs: Any) -> None:
        await JsonRPCClient.start_io(self, cmd, *args, **kwargs)
        self._log_reader = asyncio.create_task(self._read_log())

    async def _read_log(self) -> None:
        assert self._server
        assert self._server.stderr
        while block := await self._server.stderr.read(65536):
            self.log += block

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._server
        return self._server

    def open(self, text: str, uri: str = URI, language: str = "plaintext") -> None:
        self.versions[uri] = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, text: str, at: Sequence[int] | None = None, uri: str = URI) -> None:
        """Replace the range `at` (start line, start character, end line, end character) or all."""
        self.versions[uri] = self.versions.get(uri, 0) + 1
        change: types.TextDocumentContentChangeEvent
        if at is None:
            change = types.TextDocumentContentChangeWholeDocument(text)
        else:
            place = types.Range(types.Position(*at[:2]), types.Position(*at[2:]))
            change = types.TextDocumentContentChangePartial(place, text)
        document = types.VersionedTextDocumentIdentifier(uri=uri, version=self.versions[uri])
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def complete(
        self, line: int, character: int, uri: str = URI, trigger: str | None = None
    ) -> types.CompletionList:
        context = None
        if trigger is not None:
            kind = types.CompletionTriggerKind.TriggerCharacter
            context = types.CompletionContext(kind, trigger)
        answer = await asyncio.wait_for(
            self.text_document_completion_async(
                types.CompletionParams(
                    types.TextDocumentIdentifier(uri), types.Position(line, character), context
                )
            ),
            PATIENCE,
        )
        assert isinstance(answer, types.CompletionList)
        return answer

    async def hover(self, line: int, character: int, uri: str = URI) -> types.Hover | None:
        return await asyncio.wait_for(
            self.text_document_hover_async(
                types.HoverParams(
                    types.TextDocumentIdentifier(uri), types.Position(line, character)
                )
            ),
            PATIENCE,
        )

    async def loaded(self) -> None:
        """Wait until the bar of a model that is being loaded is gone."""

        def ended() -> bool:
            reports = list(self.progress_reports.values())
            return bool(reports and reports[-1]) and isinstance(
                reports[-1][-1], types.WorkDoneProgressEnd
            )

        await eventually(ended)

    async def ready(self, uri: str = URI) -> None:
        """Wait until completion at the document's beginning has candidates."""

        async def answered() -> bool:
            return bool((await self.complete(0, 0, uri)).items)

        await eventually(answered)

    async def request(self, method: str, params: Any) -> Any:
        """Send a request of any kind."""
        sent = self.protocol.send_request_async(method, params)  # type: ignore[no-untyped-call]
        return await asyncio.wait_for(sent, PATIENCE)

    async def request_as_it_is(self, method: str, params: Any) -> Any:
        """Send a request that the library would refuse to write."""
        response: Future[Any] = Future()
        self.protocol._request_futures[method] = response
        message = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
        self.send_as_it_is(message)
        return await asyncio.wait_for(asyncio.wrap_future(response), PATIENCE)

    def send_as_it_is(self, message: dict[str, Any]) -> None:
        """Send a message that the library would refuse to write."""
        body = json.dumps(message).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def registration(self, method: str) -> dict[str, Any]:
        """The options with which the server registered for a method; empty where it did not."""
        found = self.registered.get(method)
        return dict(found.register_options or {}) if found else {}

    def set_settings(self, **settings: Any) -> None:
        """Change settings in the way of a client that is asked for them."""
        self.set_configuration({"likely": settings})
        self.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))


async def eventually(
    condition: Callable[[], Awaitable[bool] | bool], patience: float = PATIENCE
) -> None:
    """Wait until the condition holds."""
    end = asyncio.get_running_loop().time() + patience
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        assert asyncio.get_running_loop().time() < end, f"{condition} did not come true"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def connected(
    profile: Profile = VSCODE,
    command: Sequence[str] = FAKE_SERVER,
    *,
    settings: dict[str, Any] | None = None,
    options: Any = None,
    answers_configuration: bool = True,
    initialize: bool = True,
) -> AsyncIterator[Client]:
    """A server process and a client; `settings` are what the client answers when asked."""
    client = Client()
    if not answers_configuration:
        client.may_answer.clear()
    client.set_configuration({"likely": settings or {}})
    await client.start_io(*command)
    try:
        if initialize:
            await start_session(client, profile, options)
        yield client
        # The library's client cannot end while one of its handlers waits.
        client.may_answer.set()
        await asyncio.sleep(0.01)
        if initialize and client.process.returncode is None:
            await asyncio.wait_for(client.shutdown_session(), PATIENCE)
    finally:
        if client.process.returncode is None:
            client.process.kill()
        await client.stop()  # type: ignore[no-untyped-call]
        await client._log_reader


async def start_session(client: Client, profile: Profile, options: Any) -> None:
    result = await asyncio.wait_for(
        client.initialize_session(
            types.InitializeParams(
                capabilities=copy.deepcopy(profile.capabilities),
                initialization_options=options,
                client_info=types.ClientInfo(profile.title),
            )
        ),
        PATIENCE,
    )
    client.capabilities_of_server = result.capabilities


def detail(item: types.CompletionItem) -> str:
    """The figure that an item shows."""
    if item.label_details is not None:
        return item.label_details.description or ""
    return item.detail or ""


def shown(answer: types.CompletionList) -> list[tuple[str, str]]:
    """Labels and figures as a list shows them."""
    return [(item.label, detail(item)) for item in answer.items]
