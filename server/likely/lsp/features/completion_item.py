"""`completionItem/resolve`: the details of an item, from what is at hand."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from likely.lsp.client import Client
from likely.lsp.session import Session
from likely.settings import Settings

if TYPE_CHECKING:
    from likely.lsp.render import Answer

METHODS = (types.COMPLETION_ITEM_RESOLVE,)

_ROUNDING = 1e-6
"""How much a client may round a figure that it sends back, relative to it."""


def options(_client: Client, _settings: Settings) -> None:
    """Nothing of its own: completion says whether items can be resolved."""


async def handle(session: Session, item: types.CompletionItem) -> types.CompletionItem:
    """Add the documentation of an item, whichever of the latest lists it stands in."""
    from likely.lsp import render

    data = _data_of(item)
    sort_text = item.sort_text or ""
    rank = int(sort_text) if sort_text.isdecimal() else 0
    for answer in reversed(session.lists):
        if _is_candidate(answer, rank, data):
            item.documentation = render.documentation(answer, rank, session.client.item_markup)
            break
    return item


def _data_of(item: types.CompletionItem) -> Mapping[str, Any]:
    """What an item of ours carries, empty for another one."""
    data: Any = item.data
    if isinstance(data, Mapping):
        return data
    # The library makes objects of what it does not know.
    fields: Mapping[str, Any] = data._asdict() if hasattr(data, "_asdict") else {}
    return fields


def _is_candidate(answer: "Answer", rank: int, data: Mapping[str, Any]) -> bool:
    """Whether the item with this data is the candidate of this rank: by tokens and figure."""
    candidates = answer.prediction.candidates
    if not 1 <= rank <= len(candidates):
        return False
    candidate, ids, logprob = candidates[rank - 1], data.get("ids"), data.get("logprob")
    return (
        isinstance(ids, list | tuple)
        and tuple(ids) == candidate.ids
        and isinstance(logprob, int | float)
        and math.isclose(logprob, candidate.logprob, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    )
