"""The settings in force: what came with `initialize`, overlaid by what the client says since."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from likely.settings import SECTION, Settings, flatten, parse
from likely.text import escaping

_log = logging.getLogger(__name__)

# What a client may put beside settings in its initialization options.
_NO_SETTINGS = ("likelyStatus", "markdownTables", "suggestCommand")


def settings_in(options: object) -> object:
    """The settings among initialization options: under `settings`, `likely`, or as they are."""
    if not isinstance(options, Mapping):
        return options
    if "settings" in options:
        return settings_in(options["settings"])
    if SECTION in options:
        return options[SECTION]
    return {name: value for name, value in options.items() if name not in _NO_SETTINGS}


class Configuration:
    """Keeps the settings and tells of every change; used in the event loop only."""

    def __init__(
        self, server: LanguageServer, options: object, changed: Callable[[], None]
    ) -> None:
        self._server = server
        self._changed = changed
        self._initial = settings_in(options)
        self._shown: list[str] = []
        self.settings: Settings
        self.settings, self._pending = self._parse({})

    def show_corrections(self) -> None:
        """Tell the user about the values that could not be taken as they were, once."""
        if self._pending and self._pending != self._shown:
            text = escaping.message("Likely: " + "; ".join(self._pending))
            self._server.window_show_message(
                types.ShowMessageParams(types.MessageType.Warning, text)
            )
        self._shown = self._pending

    def pull(self) -> None:
        """Ask the client; whenever it answers, its settings are in force, and never is fine."""
        item = types.ConfigurationItem(section=SECTION)
        asked = self._server.protocol.send_request(
            types.WORKSPACE_CONFIGURATION, types.ConfigurationParams(items=[item])
        )
        # Not awaited: a handler that waits for its client can be cancelled in the middle.
        asked.add_done_callback(self._answered)

    def push(self, settings: object) -> bool:
        """Take what came with a notification; False where there was nothing for this server."""
        if isinstance(settings, Mapping) and SECTION in settings:
            settings = settings[SECTION]
        if settings is None or settings == {}:
            return False
        self._take(settings)
        return True

    def _answered(self, asked: "Future[Any]") -> None:
        if asked.cancelled():
            return
        error = asked.exception()
        if error is not None:
            _log.warning("the client gave no configuration: %s", type(error).__name__)
            return
        answer = asked.result()
        self._take(answer[0] if isinstance(answer, list | tuple) and answer else None)

    def _take(self, raw: object) -> None:
        self.settings, self._pending = self._parse(raw)
        self.show_corrections()
        self._changed()

    def _parse(self, raw: object) -> tuple[Settings, list[str]]:
        """Overlay the initial settings with `raw`, name by name."""
        merged: dict[str, object] = {}
        messages: list[str] = []
        for layer in (self._initial, raw):
            if isinstance(layer, Mapping):
                merged.update(flatten(layer))
            else:
                messages += parse(layer)[1]
        settings, corrections = parse(merged)
        return settings, messages + corrections
