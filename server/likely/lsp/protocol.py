"""The wire: the library's protocol, with our documents and messages."""

from collections.abc import Callable, Generator
from typing import Any

import attrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.workspace import Workspace

NEXT_TOKENS = "likely/nextTokens"
CURSOR_MOVED = "likely/cursorMoved"
MODELS = "likely/models"
STATUS = "likely/status"


@attrs.define
class NextTokensRequest:
    """The message of `likely/nextTokens`."""

    id: int | str
    params: types.TextDocumentPositionParams
    method: str = NEXT_TOKENS
    jsonrpc: str = "2.0"


@attrs.define
class CursorMovedNotification:
    """The message of `likely/cursorMoved`: typing may go on elsewhere."""

    params: types.TextDocumentPositionParams
    method: str = CURSOR_MOVED
    jsonrpc: str = "2.0"


_OUR_MESSAGES = {NEXT_TOKENS: NextTokensRequest, CURSOR_MOVED: CursorMovedNotification}


class Protocol(LanguageServerProtocol):
    """The protocol of one connection."""

    advertise: Callable[[types.ServerCapabilities], None]
    """Puts what the features tell this client into the answer to `initialize`."""

    def use(self, workspace: Workspace) -> None:
        """Keep documents there instead of in the library's own mirror."""
        self._workspace = workspace

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(
        self, params: types.InitializeParams
    ) -> Generator[Any, Any, types.InitializeResult]:
        """See the library, which knows no features that depend on settings."""
        result = yield from super().lsp_initialize(params)
        self.advertise(result.capabilities)
        return result

    def get_message_type(  # type: ignore[override] # the library's has a cache around it
        self, method: str
    ) -> type[Any] | None:
        """See the library; knows our own messages too."""
        return _OUR_MESSAGES.get(method) or super().get_message_type(method)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """See the library; a request that cannot be understood is answered as well."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise
