"""What a client is told of the features, statically in `initialize` or dynamically later.

One table for both. A client that takes registrations hears of a feature's options once its
settings are known, and again when they change; another one hears of them once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol

from likely.lsp.client import Client
from likely.lsp.features import completion, completion_item, hover, models, next_tokens
from likely.lsp.session import Session
from likely.settings import Settings


class Feature(Protocol):
    """A module of `likely.lsp.features`."""

    METHODS: tuple[str, ...]
    options: Callable[[Client, Settings], object | None]
    handle: Callable[[Session, Any], Awaitable[Any]]


FEATURES = cast("tuple[Feature, ...]", (completion, completion_item, hover, next_tokens, models))

# Where `initialize` tells of a method.
_CAPABILITIES: Mapping[str, str] = {
    types.TEXT_DOCUMENT_COMPLETION: "completion_provider",
    types.TEXT_DOCUMENT_HOVER: "hover_provider",
}


def advertise(capabilities: types.ServerCapabilities, client: Client, settings: Settings) -> None:
    """Put the features that are told statically into the answer to `initialize`."""
    for feature in FEATURES:
        for method in feature.METHODS:
            if method in _CAPABILITIES:
                dynamic = method in client.registers
                options = None if dynamic else feature.options(client, settings)
                setattr(capabilities, _CAPABILITIES[method], options)


class Registrations:
    """The features that are told dynamically, kept up to date with the settings."""

    def __init__(self, protocol: LanguageServerProtocol, client: Client) -> None:
        self._protocol = protocol
        self._client = client
        self._registered: dict[str, object] = {}

    def update(self, settings: Settings) -> None:
        """Tell the client what has changed."""
        for feature in FEATURES:
            for method in feature.METHODS:
                if method in self._client.registers:
                    self._update(method, feature.options(self._client, settings))
        if types.WORKSPACE_DID_CHANGE_CONFIGURATION in self._client.registers:
            self._update(types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": "likely"})

    def _update(self, method: str, options: object | None) -> None:
        before = self._registered.get(method)
        if options == before:
            return
        if before is not None:
            gone = types.UnregistrationParams([types.Unregistration(f"likely:{method}", method)])
            self._protocol.send_request(types.CLIENT_UNREGISTER_CAPABILITY, gone)
            del self._registered[method]
        if options is not None:
            self._registered[method] = options
            new = types.RegistrationParams(
                [types.Registration(f"likely:{method}", method, _registration(options))]
            )
            self._protocol.send_request(types.CLIENT_REGISTER_CAPABILITY, new)


def _registration(options: object) -> object:
    """Options in the form in which they are registered."""
    if isinstance(options, types.CompletionOptions):
        return types.CompletionRegistrationOptions(
            trigger_characters=options.trigger_characters,
            resolve_provider=options.resolve_provider,
        )
    return options
