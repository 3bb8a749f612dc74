"""A language model as the server runs it."""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from likely.prediction.protocol import LanguageModel
from likely.settings import Settings

Progress = Callable[[str, float | None], None]


class ServedModel(LanguageModel, Protocol):
    """A language model whose work can be abandoned.

    `poll` is called in the middle of a forward pass and may raise to abandon it; `owner` names
    the document on whose behalf memory is filled.
    """

    poll: Callable[[], None]
    owner: Hashable

    def release(self, owner: Hashable) -> None:
        """Forget what was computed on behalf of `owner`."""
        ...


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


LoadModel = Callable[[Settings, Progress], ServedModel]
ListModels = Callable[[Settings], Sequence[ListedModel]]
