"""The language server: what is registered, how it starts and how it ends.

Imports nothing slow: `initialize` is answered before numpy, tokenizers or torch are there. The
modules that answer requests are imported when the first request comes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, cast

from lsprotocol import types
from pygls.io_ import run_async
from pygls.lsp.server import LanguageServer

from likely import __version__
from likely.lsp.client import client_of
from likely.lsp.configuration import Configuration
from likely.lsp.documents import Documents
from likely.lsp.model_slot import ModelSlot
from likely.lsp.protocol import CURSOR_MOVED, Protocol
from likely.lsp.registration import FEATURES, Feature, Registrations, advertise
from likely.lsp.scheduler import Scheduler, describe
from likely.lsp.session import Session
from likely.text.lines import PositionEncoding

if TYPE_CHECKING:
    from pygls.server import ServerErrors

    from likely.lsp.suppliers import ListModels, LoadEngine

CONFIGURATION_GRACE = 1.0
"""Seconds to wait for the client's settings before a model is loaded by those at hand."""
FAR = 256
"""Bytes between two changes by which the second is elsewhere."""
CLOSING_TIME = 0.5
"""Seconds that running work gets to notice that the server ends."""

_BAD_USAGE = 2
_ON_A_TERMINAL = """\
likely: this is the language server. It waits for an editor, which starts it by itself.
likely: Ctrl-C ends it; `likely predict TEXT` shows a table here.
"""

_log = logging.getLogger(__name__)


class LikelyServer(LanguageServer):
    """The server of one client."""

    protocol: Protocol

    def __init__(self, load_engine: LoadEngine, list_models: ListModels) -> None:
        every_notebook = types.NotebookDocumentFilterWithNotebook(notebook="*")
        super().__init__(
            "likely",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            notebook_document_sync=types.NotebookDocumentSyncOptions([every_notebook]),
            protocol_cls=Protocol,
        )
        self._load_engine = load_engine
        self._list_models = list_models
        self.ended_in_order = False
        self._scheduler = Scheduler()
        self._configuration: Configuration
        self._slot: ModelSlot
        self._session: Session | None = None
        self._latest_document = ""
        self._registrations: Registrations
        self._started = False

    @property
    def session(self) -> Session:
        """The connection; it exists from `initialize` on."""
        if self._session is None:
            raise RuntimeError("the client must send `initialize` first")
        return self._session

    def open_session(self, params: types.InitializeParams) -> None:
        """Take note of the client, its options and its capabilities."""
        options = params.initialization_options
        extras = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
        name = params.client_info.name if params.client_info else ""
        client = client_of(params.capabilities, name, extras.get("markdownTables"))
        command = extras.get("suggestCommand")
        encoding = types.PositionEncodingKind(self.workspace.position_encoding).value
        documents = Documents(cast("PositionEncoding", encoding))
        self.protocol.use(documents)
        self._configuration = Configuration(self, options, self._settings_changed)
        self._slot = ModelSlot(
            self,
            self._load_engine,
            self._installed,
            progress=client.progress,
            status=extras.get("likelyStatus") is True,
        )
        self._session = Session(
            client,
            documents,
            self._configuration,
            self._slot,
            self._scheduler,
            self._list_models,
            command if isinstance(command, str) else None,
        )
        self._registrations = Registrations(self.protocol, client)
        settings = self._configuration.settings
        self.protocol.advertise = lambda told: advertise(told, client, settings)

    def begin(self) -> None:
        """Load the model, once the client had its chance to say which."""
        client = self.session.client
        self._configuration.show_corrections()
        self._registrations.update(self._configuration.settings)
        if client.configuration:
            self._configuration.pull()
            asyncio.get_running_loop().call_later(CONFIGURATION_GRACE, self._start)
        else:
            self._start()

    def configuration_changed(self, settings: object) -> None:
        """Take the settings that a notification brought, or ask for them."""
        if not self._configuration.push(settings) and self.session.client.configuration:
            self._configuration.pull()

    def opened(self, uri: str) -> None:
        """Prepare for typing in a document just opened."""
        self._latest_document = uri
        document = self.session.documents.find(uri)
        if document is not None and self.session.running is not None:
            from likely.lsp.idle import prefill_beginning

            prefill_beginning(self.session, uri, document)

    def changed(self, uri: str, change: types.TextDocumentContentChangeEvent) -> None:
        """Prepare for an answer where the text has changed, if that is somewhere new."""
        if isinstance(change, types.TextDocumentContentChangePartial):
            self._prepare(uri, change.range.start, FAR)

    def moved(self, uri: str, position: types.Position) -> None:
        """Prepare for typing where the cursor is now, if it did not get there by typing."""
        self._prepare(uri, position, 1)

    def _prepare(self, uri: str, at: types.Position, least_distance: int) -> None:
        document = self.session.documents.find(uri)
        if document is None or self.session.running is None:
            return
        if document.distance(at) >= least_distance:
            from likely.lsp.idle import prefill_before

            prefill_before(self.session, uri, document, at)

    def close(self) -> bool:
        """Abandon all work; False where a thread is too deep in it to notice."""
        ended = self._scheduler.close(CLOSING_TIME)
        return (self._session is None or self._slot.close(CLOSING_TIME)) and ended

    def report_server_error(self, error: Exception, source: ServerErrors) -> None:
        """Log the kind of a failure; its message may hold text of a document."""
        _log.warning("%s: %s", source.__name__, describe(error))

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._slot.want(self._configuration.settings)

    def _settings_changed(self) -> None:
        # The first settings from the client: there is nothing more to wait for.
        self._started = True
        self._registrations.update(self._configuration.settings)
        self._slot.want(self._configuration.settings)

    def _installed(self) -> None:
        self.opened(self._latest_document)


def create_server(load_engine: LoadEngine, list_models: ListModels) -> LikelyServer:
    """Make a server that is ready to be connected; `load_engine` runs in a thread of its own."""
    server = LikelyServer(load_engine, list_models)
    _register_notifications(server)
    _register_requests(server)
    return server


def _register_notifications(server: LikelyServer) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.open_session(params)

    @server.feature(types.INITIALIZED)
    def initialized(_params: types.InitializedParams) -> None:
        server.begin()

    @server.feature(types.SHUTDOWN)
    def shutdown(_params: None) -> None:
        server.ended_in_order = True

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def configuration_changed(params: types.DidChangeConfigurationParams) -> None:
        server.configuration_changed(params.settings)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.opened(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        if params.content_changes:
            server.changed(params.text_document.uri, params.content_changes[-1])

    @server.feature(CURSOR_MOVED)
    def moved(params: types.TextDocumentPositionParams) -> None:
        server.moved(params.text_document.uri, params.position)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.session.forget(params.text_document.uri)


def _register_requests(server: LikelyServer) -> None:
    for feature in FEATURES:
        for method in feature.METHODS:
            server.feature(method)(_handler(server, feature))


def _handler(server: LikelyServer, feature: Feature) -> Callable[[Any], Awaitable[Any]]:
    async def handle(params: Any) -> Any:
        return await feature.handle(server.session, params)

    return handle


def serve_stdio(load_engine: LoadEngine, list_models: ListModels) -> NoReturn:
    """Serve the client at standard input and output until it ends."""
    _log_to_stderr()
    if os.isatty(0):
        # The thread that reads would keep the process until the next line is typed.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stderr.write(_ON_A_TERMINAL)
        sys.stderr.flush()
    stdin, stdout = _keep_stdio()
    server = create_server(load_engine, list_models)
    server.start_io(stdin, stdout)
    _leave(server)


def serve_tcp(load_engine: LoadEngine, list_models: ListModels, host: str, port: int) -> NoReturn:
    """Serve one client that connects to an address until it ends."""
    _log_to_stderr()
    server = create_server(load_engine, list_models)
    try:
        asyncio.run(_serve_connection(server, host, port))
    except OSError as error:
        sys.stderr.write(f"likely: cannot serve on {host}:{port}: {error.strerror or error}\n")
        sys.exit(_BAD_USAGE)
    except (SystemExit, KeyboardInterrupt):
        pass  # the client said `exit`, or the user did
    _leave(server)


async def _serve_connection(server: LikelyServer, host: str, port: int) -> None:
    ended = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.close()
        # The library's types know only writers whose methods are awaited.
        server.protocol.set_writer(cast("Any", writer))
        await run_async(threading.Event(), _Fair(reader), server.protocol)
        ended.set()

    listener = await asyncio.start_server(connected, host, port)
    name, number, *_ = listener.sockets[0].getsockname()
    sys.stderr.write(f"likely: serving on {name}:{number}\n")
    sys.stderr.flush()
    await ended.wait()


class _Fair:
    """Reads messages from a stream, one per turn of the event loop.

    Messages that arrive together would otherwise all be decoded before the first one's handler
    has looked at the documents as they were.
    """

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream

    async def readline(self) -> bytes:
        await asyncio.sleep(0)
        return await self._stream.readline()

    def readexactly(self, n: int) -> Awaitable[bytes]:
        return self._stream.readexactly(n)


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    # The library logs whole messages, and with them the text of documents.
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)


def _keep_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Keep both ends of the protocol to ourselves: what libraries print goes to stderr."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = sys.stderr
    return stdin, stdout


def _leave(server: LikelyServer) -> NoReturn:
    """End the process at once: with 0 where the client asked to shut down first."""
    status = 0 if server.ended_in_order else 1
    if not server.close():
        # A thread in the middle of a forward pass or an import; nothing is left to be saved.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
