"""Who answers keystrokes: Likely, and the notebook's function."""

import time
from pathlib import Path
from typing import Protocol

from likely.benchmark.plain_transformers import PlainTransformers
from likely.engines.loading import CausalLanguageModel, load
from likely.prediction.cursor import CursorOptions, Prediction
from likely.prediction.predictor import Predictor
from likely.prediction.window import TextBefore, reach

K = 10
OPTIONS = CursorOptions(mode="exact", k=K, context_tokens=512, steady=True, document_start="auto")
_REACH = reach(768)


def text_before(text: bytes) -> TextBefore:
    """What the server hands to prediction: the last bytes, cut between characters."""
    start = max(0, len(text) - _REACH)
    while start < len(text) and text[start] & 0xC0 == 0x80:
        start += 1
    return TextBefore(text[start:], start)


class Contender(Protocol):
    """Something that proposes `K` continuations of a text."""

    @property
    def rows_computed(self) -> int:
        """Tokens that went through the layers so far."""
        ...

    def answer(self, text: bytes) -> object:
        """Propose continuations of `text`."""
        ...

    def rest(self, text: bytes, until: float) -> None:
        """Nobody asks until `until` (`time.perf_counter`); `text` was the last question."""
        ...

    def clear(self) -> None:
        """Forget what was computed."""
        ...


class Likely:
    """Likely as the language server runs it: exact candidates, look-ahead between requests."""

    def __init__(self, folder: Path, name: str, threads: int) -> None:
        self.model: CausalLanguageModel = load(folder, name=name, device="cpu", threads=threads)
        self._predictor = Predictor(self.model)

    @property
    def rows_computed(self) -> int:
        """See `Contender`."""
        return self.model.rows_computed

    def answer(self, text: bytes) -> Prediction:
        """See `Contender`."""
        return self._predictor.predict(text_before(text), OPTIONS)

    def rest(self, text: bytes, until: float) -> None:
        """Look ahead; abandoned at `until`, wherever it is, as when a request arrives."""

        def poll() -> None:
            if time.perf_counter() >= until:
                raise _Due

        self.model.poll = poll
        try:
            for _ in self._predictor.look_ahead(text_before(text), OPTIONS):
                poll()
        except _Due:
            pass
        finally:
            self.model.poll = _never
        sleep_until(until)

    def clear(self) -> None:
        """See `Contender`."""
        self.model.clear()
        self._predictor.forget()


class Notebook:
    """The notebook's function on the same weights: the whole text through plain transformers."""

    def __init__(self, plain: PlainTransformers) -> None:
        self._plain = plain
        self.rows_computed = 0

    def answer(self, text: bytes) -> object:
        """See `Contender`."""
        tokens, table = self._plain.next_tokens(text.decode(), K)
        self.rows_computed += tokens
        return table

    def rest(self, text: bytes, until: float) -> None:
        """See `Contender`; nothing is done ahead."""
        del text
        sleep_until(until)

    def clear(self) -> None:
        """See `Contender`; nothing is kept."""


class _Due(Exception):  # noqa: N818 - the end of idle time is no error
    """A keystroke is due."""


def sleep_until(moment: float) -> None:
    """Wait without work until `moment` (`time.perf_counter`)."""
    left = moment - time.perf_counter()
    if left > 0:
        time.sleep(left)


def _never() -> None:
    """Work that nobody abandons."""
