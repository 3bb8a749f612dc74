"""An editor as far as a server sees one: a client whose server runs in another process."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

import attrs
from pygls.client import JsonRPCClient
from pygls.protocol import JsonRPCProtocol

from likely.models.reporting import ModelUnavailableError

SERVER = (sys.executable, "-m", "likely", "serve")
DOCUMENT = {"uri": "file:///bench.txt", "languageId": "plaintext", "version": 1}


class ServerError(ModelUnavailableError):
    """The server ended, could not answer, or could not load its model."""


@attrs.define
class _Response:
    id: str
    result: Any
    jsonrpc: str = "2.0"


class _Protocol(JsonRPCProtocol):
    """Leaves results as JSON: the library would take its time to make objects of them."""

    def get_result_type(self, method: str) -> type[Any]:  # noqa: ARG002
        return _Response


def place_after(before: str) -> dict[str, int]:
    """Where the cursor is after this text, which is ASCII: a character is a unit."""
    return {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}


class Editor(JsonRPCClient):
    """One server and one document, with the settings of `likely`. Raises ServerError."""

    def __init__(self, settings: dict[str, Any], command: Sequence[str] = SERVER) -> None:
        super().__init__(_Protocol)
        self._command = command
        item = {"labelDetailsSupport": True, "resolveSupport": {"properties": ["documentation"]}}
        self._about = {
            "processId": None,
            "rootUri": None,
            "capabilities": {"textDocument": {"completion": {"completionItem": item}}},
            "initializationOptions": {"settings": settings, "likelyStatus": True},
        }

    async def __aenter__(self) -> Self:
        """Start the server and wait until it has loaded its model."""
        loaded = self._loaded = asyncio.get_running_loop().create_future()
        loaded.add_done_callback(lambda it: it.cancelled() or it.exception())  # else it is logged

        @self.feature("likely/status")  # type: ignore[untyped-decorator]
        def told(status: Any) -> None:
            if status.state == "error" and not loaded.done():
                loaded.set_exception(ServerError(status.message))
            elif status.state == "ready" and not loaded.done():
                loaded.set_result(None)

        self.started = time.perf_counter()
        await self.start_io(*self._command)
        assert self._server is not None  # noqa: S101 - since it has been started
        self.process = self._server
        try:
            await self.ask("initialize", self._about)
            self.initialized = time.perf_counter()
            self.protocol.notify("initialized", {})
            await loaded
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_failure: object) -> None:
        """End the server."""
        try:
            async with asyncio.timeout(5.0):
                await self.ask("shutdown", None)
                self.protocol.notify("exit", None)
                await self.process.wait()
        except (ServerError, TimeoutError):
            with suppress(ProcessLookupError):
                self.process.kill()
        await self.stop()  # type: ignore[no-untyped-call] # the library's

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:  # noqa: ARG002
        """See the library."""
        if not self._loaded.done():
            self._loaded.set_exception(ServerError("the server ended early: run `likely doctor`"))

    async def ask(self, method: str, params: object) -> Any:
        """Send a request and wait for its result."""
        if self.process.returncode is not None:
            raise ServerError("the server ended: run `likely doctor`")
        try:
            return await self.protocol.send_request_async(method, params)
        except Exception as error:
            raise ServerError(f"the server cannot answer ({error}): run `likely doctor`") from error

    async def open(self, text: str) -> list[Any]:
        """Open the document and ask for a list at its end."""
        self.protocol.notify("textDocument/didOpen", {"textDocument": {**DOCUMENT, "text": text}})
        return await self.complete(place_after(text))

    async def press(self, before: str, text: str) -> list[Any]:
        """Insert text after the text before it, and ask for a list after it."""
        place = place_after(before)
        change = {"range": {"start": place, "end": place}, "text": text}
        changes = {"textDocument": DOCUMENT, "contentChanges": [change]}
        self.protocol.notify("textDocument/didChange", changes)
        return await self.complete(place_after(before + text))

    async def complete(self, place: dict[str, int]) -> list[Any]:
        """Ask for a list; an empty one is an error, since the model is there."""
        at = {"textDocument": DOCUMENT, "position": place}
        items: list[Any] = (await self.ask("textDocument/completion", at))["items"]
        if not items:
            raise ServerError("the server proposed nothing: run `likely doctor`")
        return items
