"""`likely/models`: the models that are cached or could be."""

import asyncio
from typing import Any

from likely.lsp.client import Client
from likely.lsp.protocol import MODELS
from likely.lsp.session import Session
from likely.settings import Settings

METHODS = (MODELS,)


def options(_client: Client, _settings: Settings) -> None:
    """Not a request of the protocol: clients know of it or do without."""


async def handle(session: Session, _params: Any) -> dict[str, list[dict[str, object]]]:
    """List them; names are what `likely.model` takes, as they are."""
    listed = await asyncio.to_thread(session.list_models, session.settings)
    names = ("name", "detail", "cached", "size")
    return {"models": [{name: getattr(model, name) for name in names} for model in listed]}
