"""What an engine is, and the drivers that take questions to their answers."""

from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from likely.engines.interruption import Interrupted
from likely.prediction.question import (
    Agenda,
    Distribution,
    LanguageModel,
    Need,
    Passage,
    Question,
    Scores,
)
from likely.text.vocabulary import TokenIds

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work in steps: between two of them it may be set aside for as long as one likes."""

KEPT_BYTES = 64 * 2**20
"""Memory for the distributions that are kept."""

_LEAST_ROWS = 32
"""Distributions that are kept at least, however large the vocabulary is."""

_RIDERS = 7
"""Rows that ride along with a pass at most."""

_TOGETHER = 16
"""Rows per pass of look-ahead: sixteen cost less than twice as much as one, since a pass reads
all weights."""


def _never() -> None:
    """Work that nothing interrupts."""


@dataclass(frozen=True, slots=True)
class Work:
    """On whose behalf an engine computes, and whether it should go on.

    `owner` is what memory is filled for (a document), so that it can be released with it.
    `poll` is called often in the middle of a pass and raises `Interrupted` where the work has to
    make way; what is computed by then is kept as far as possible.
    """

    owner: Hashable = None
    poll: Callable[[], None] = _never


NOBODY = Work()
"""Work that nothing interrupts, for nobody in particular."""


class Engine(Protocol):
    """Turns token prefixes into next-token distributions; used by one thread at a time."""

    @property
    def model(self) -> LanguageModel:
        """What is known of the model without running it."""
        ...

    @property
    def description(self) -> str:
        """The model, where it runs and in which precision, for labels."""
        ...

    @property
    def rows_computed(self) -> int:
        """Tokens that went through the model's layers so far."""
        ...

    def distributions(self, prefixes: Sequence[TokenIds], work: Work) -> list[Distribution]:
        """The distribution after each prefix (none is empty), in one pass, in order.

        Prefixes that share their first tokens share that computation. Raises `Interrupted`.
        """
        ...

    def scores(self, passage: Passage, work: Work) -> Scores:
        """The scores of a passage, computed some rows at a time. Raises `Interrupted`."""
        ...

    def release(self, owner: Hashable) -> None:
        """Free what was computed on behalf of `owner`."""
        ...

    def clear(self) -> None:
        """Free everything that was computed."""
        ...


class OpenQuestion(Generic[T]):
    """A question on its way: what it needs now, or its answer once it is done."""

    need: Need | Passage
    answer: T

    def __init__(self, question: Question[T]) -> None:
        self.done = False
        self._question = question
        self._advance(lambda: next(question))

    def supply(self, supplied: Sequence[Distribution] | Scores) -> None:
        """Go on with what was needed."""
        self._advance(lambda: self._question.send(supplied))

    def _advance(self, resume: Callable[[], Need | Passage]) -> None:
        try:
            self.need = resume()
        except StopIteration as end:
            self.answer = end.value
            self.done = True


class Driver:
    """Takes questions to their answers over one engine; used by one thread at a time.

    Keeps the distributions that the engine gave, so that asking again costs no pass.
    """

    def __init__(self, engine: Engine, kept_bytes: int = KEPT_BYTES) -> None:
        self.engine = engine
        row_bytes = 4 * len(engine.model.vocabulary)
        self._kept: LRUCache[TokenIds, _Kept] = LRUCache(
            max(kept_bytes, _LEAST_ROWS * row_bytes), getsizeof=lambda kept: kept.distribution.size
        )

    @property
    def model(self) -> LanguageModel:
        """What is known of the model without running it."""
        return self.engine.model

    def at_hand(self, prefix: TokenIds) -> Distribution | None:
        """The distribution after `prefix` where it costs no pass."""
        kept = self._kept.get(prefix)
        return None if kept is None else kept.distribution

    def answer(self, question: Question[T], work: Work = NOBODY) -> T:
        """Ask until the answer is there. Raises `Interrupted`."""
        open_question = OpenQuestion(question)
        while not open_question.done:
            open_question.supply(self._supply(open_question.need, work))
        return open_question.answer

    def steps(self, question: Question[T], work: Work = NOBODY) -> Steps[T]:
        """Ask in steps; one that is interrupted in the middle of a pass is taken again."""
        open_question = OpenQuestion(question)
        while not open_question.done:
            yield
            try:
                supplied = self._supply(open_question.need, work)
            except Interrupted:
                continue
            open_question.supply(supplied)
        return open_question.answer

    def work_through(self, agenda: Agenda, max_rows: int, work: Work = NOBODY) -> Steps[None]:
        """Answer what is on the agenda, in steps, with hardly more than `max_rows` rows.

        Each question goes on as far as it can; what several of them lack is computed together.
        """
        waiting: list[OpenQuestion[None]] = []
        computed = 0
        while computed < max_rows:
            lacking = dict.fromkeys(p for w in waiting for p in self._missing(_need(w).prefixes))
            while len(lacking) < _TOGETHER and (question := agenda.next()) is not None:
                open_question = OpenQuestion(question)
                self._go_on(open_question)
                if not open_question.done:
                    waiting.append(open_question)
                    lacking |= dict.fromkeys(self._missing(_need(open_question).prefixes))
                yield
            if not lacking:
                return
            riders = (prefix for w in waiting for prefix in _need(w).riders)
            try:
                computed += len(
                    self._compute(list(lacking), riders, _TOGETHER - len(lacking), work)
                )
            except Interrupted:
                yield
                continue
            for open_question in waiting:
                self._go_on(open_question)
            waiting = [w for w in waiting if not w.done]
            yield

    def release(self, owner: Hashable) -> None:
        """Forget what was computed on behalf of `owner`."""
        for prefix in [p for p, kept in self._kept.items() if kept.owner == owner]:
            del self._kept[prefix]
        self.engine.release(owner)

    def clear(self) -> None:
        """Forget everything that was computed."""
        self._kept.clear()
        self.engine.clear()

    def _go_on(self, open_question: OpenQuestion[T]) -> None:
        """Take a question as far as it goes without a pass."""
        while not open_question.done:
            found = [self.at_hand(prefix) for prefix in _need(open_question).prefixes]
            distributions = [distribution for distribution in found if distribution is not None]
            if len(distributions) < len(found):
                return
            open_question.supply(distributions)

    def _supply(self, need: Need | Passage, work: Work) -> Sequence[Distribution] | Scores:
        """What is needed, by a pass with its riders where not all of it is at hand."""
        if isinstance(need, Passage):
            return self.engine.scores(need, work)
        found: dict[TokenIds, Distribution] = {}
        for prefix in need.prefixes:
            if (distribution := self.at_hand(prefix)) is not None:
                found[prefix] = distribution
        if missing := self._missing(need.prefixes):
            found |= self._compute(missing, need.riders, _RIDERS, work)
        return [found[prefix] for prefix in need.prefixes]

    def _missing(self, prefixes: Iterable[TokenIds]) -> list[TokenIds]:
        return [prefix for prefix in dict.fromkeys(prefixes) if prefix not in self._kept]

    def _compute(
        self, missing: Sequence[TokenIds], riders: Iterable[TokenIds], room: int, work: Work
    ) -> dict[TokenIds, Distribution]:
        """One pass over what is missing and as many riders as there is room for; all is kept."""
        riding = dict.fromkeys(missing)
        for rider in riders:
            if len(riding) >= len(missing) + room:
                break
            if rider not in self._kept:
                riding[rider] = None
        fresh = dict(zip(riding, self.engine.distributions(list(riding), work), strict=True))
        for prefix, distribution in fresh.items():
            self._kept[prefix] = _Kept(distribution, work.owner)
        return fresh


def _need(open_question: OpenQuestion[T]) -> Need:
    """What a question of an agenda needs; passages are too long to be looked ahead."""
    if isinstance(open_question.need, Passage):
        raise TypeError("a question on an agenda cannot ask for scores")
    return open_question.need


@dataclass(frozen=True, slots=True)
class _Kept:
    distribution: Distribution
    owner: Hashable
