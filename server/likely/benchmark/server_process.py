"""A language server in a process of its own, as an editor runs it."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self, cast

from likely.models.reporting import ModelUnavailableError

COMMAND = (sys.executable, "-m", "likely", "serve")

_CLOSING_TIME = 5.0


class ServerError(ModelUnavailableError):
    """The server ended, or could not load its model."""


class ServerProcess:
    """One server and a client that can do the least; times are `time.perf_counter`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Start the server and wait until it has loaded the model of `settings`."""
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        # Both are pipes.
        self._input = cast("IO[bytes]", self._process.stdin)
        self._output = cast("IO[bytes]", self._process.stdout)
        self._ids = 0
        try:
            self.request(
                "initialize",
                {
                    "processId": None,
                    "rootUri": None,
                    "capabilities": {},
                    "initializationOptions": {"settings": settings, "likelyStatus": True},
                },
            )
            self.initialized = time.perf_counter()
            self.notify("initialized", {})
            self._wait_for_model()
        except BaseException:
            self.close()
            raise

    @property
    def process_id(self) -> int:
        """The process of the server."""
        return self._process.pid

    def open(self, uri: str, text: str) -> None:
        """Open a document."""
        item = {"uri": uri, "languageId": "plaintext", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def insert(self, uri: str, line: int, character: int, text: str) -> None:
        """Insert text into a document."""
        place = {"line": line, "character": character}
        change = {"range": {"start": place, "end": place}, "text": text}
        document = {"uri": uri, "version": 1}
        self.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
        )

    def complete(self, uri: str, line: int, character: int) -> list[Any]:
        """Ask for candidates; an empty list is an error, since the model is there."""
        position = {"line": line, "character": character}
        answer = self.request(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": position}
        )
        items: list[Any] = answer["items"]
        if not items:
            raise ServerError("the server proposed nothing")
        return items

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def request(self, method: str, params: object) -> Any:
        """Send a request and wait for its result."""
        self._ids += 1
        self._send({"id": self._ids, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._ids and "method" not in message:
                if "error" in message:
                    raise ServerError(str(message["error"].get("message")))
                return message["result"]

    def close(self) -> None:
        """End the server."""
        try:
            self.request("shutdown", None)
            self.notify("exit", None)
            self._process.wait(_CLOSING_TIME)
        except (ServerError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        with suppress(OSError):  # nobody reads what is left to be written
            self._input.close()
        self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_for_model(self) -> None:
        while True:
            message = self._receive()
            if message.get("method") == "likely/status":
                status = message["params"]
                if status["state"] == "error":
                    raise ServerError(status["message"])
                if status["state"] == "ready":
                    return

    def _send(self, message: dict[str, object]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        try:
            self._input.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._input.flush()
        except OSError:
            raise self._ended() from None

    def _receive(self) -> dict[str, Any]:
        length = 0
        while line := self._output.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self._output.read(length)
        if not body:
            raise self._ended()
        message: dict[str, Any] = json.loads(body)
        return message

    def _ended(self) -> ServerError:
        return ServerError("the language server ended: run `likely doctor`")
