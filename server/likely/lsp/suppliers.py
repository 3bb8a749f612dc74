"""What the composition root supplies: models to run, and the list of those that could be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from likely.settings import Settings

if TYPE_CHECKING:
    from likely.engines.engine import Engine

Progress = Callable[[str, float | None], None]


class ListedModel(Protocol):
    """A model that is cached or could be."""

    @property
    def name(self) -> str:
        """What `likely.model` has to be to get it."""
        ...

    @property
    def detail(self) -> str:
        """One line about it."""
        ...

    @property
    def cached(self) -> bool:
        """Whether it is on this machine."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes on disk where it is cached, else those to fetch; None where unknown."""
        ...


LoadEngine = Callable[[Settings, Progress], "Engine"]
ListModels = Callable[[Settings], Sequence[ListedModel]]
