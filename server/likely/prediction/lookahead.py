"""Answers at cursors: kept once they are given, and worked out before they are asked for."""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from likely.prediction.candidates import Prediction
from likely.prediction.cursor import context_before, predict_in_context
from likely.prediction.next_bytes import next_bytes
from likely.prediction.options import CursorOptions
from likely.prediction.question import LanguageModel, Question, distribution_after
from likely.prediction.window import Context, TextBefore

_LEAST = 0.005
"""Texts less likely to be typed than this are not looked at."""

_MAX_ANSWERS = 1024
_ASCII = 128


@dataclass(frozen=True, slots=True)
class _Answer:
    """A prediction, and the texts that may be typed next with their shares."""

    prediction: Prediction
    next_texts: Mapping[bytes, float]


class Answers:
    """Predictions of one model; the same question again costs nothing."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._kept: LRUCache[tuple[Context, CursorOptions], _Answer] = LRUCache(_MAX_ANSWERS)

    def predict(self, text: TextBefore, options: CursorOptions) -> Question[Prediction]:
        """See `predict_at_cursor`."""
        return (yield from self.answer(text, options)).prediction

    def answer(self, text: TextBefore, options: CursorOptions) -> Question[_Answer]:
        """A prediction, and what may be typed next."""
        context = context_before(self.model, text, options)
        answer = self._kept.get((context, options))
        if answer is None:
            prediction, weighed = yield from predict_in_context(self.model, context, options)
            bytes_next = None if weighed is None else next_bytes(weighed)
            answer = _Answer(prediction, _next_texts(prediction, bytes_next))
            self._kept[context, options] = answer
        return answer


class LookAhead:
    """What is likely to be asked after a text.

    Texts that the user may have produced by the next requests, typed character by character or
    accepted from the list, in the order of their probability. Finally, where the window is
    about to move on, the next one.
    """

    def __init__(self, answers: Answers, text: TextBefore, options: CursorOptions) -> None:
        self._answers = answers
        self._text = text
        self._options = options
        self._frontier: list[tuple[float, bytes]] = [(-1.0, b"")]
        self._seen = {b""}
        self._open = 0
        self._window_given = False

    def next(self) -> Question[None] | None:
        """See `Agenda`."""
        if self._frontier:
            negative, typed = heapq.heappop(self._frontier)
            self._open += 1
            return self._visit(typed, -negative)
        if self._open or self._window_given:
            return None
        self._window_given = True
        return self._next_window()

    def _visit(self, typed: bytes, probability: float) -> Question[None]:
        """Answer at `typed`, and take note of what may be typed after it."""
        longer = TextBefore(self._text.data + typed, self._text.start)
        answer = yield from self._answers.answer(longer, self._options)
        for data, share in answer.next_texts.items():
            next_typed, next_probability = typed + data, probability * share
            if next_typed not in self._seen and next_probability >= _LEAST:
                self._seen.add(next_typed)
                heapq.heappush(self._frontier, (-next_probability, next_typed))
        self._open -= 1

    def _next_window(self) -> Question[None]:
        """The end of the window that will be next, once this one has grown full."""
        model, options = self._answers.model, self._options
        now = context_before(model, self._text, options)
        soon = context_before(model, self._text, options, ahead=True)
        if soon.start != now.start:
            sequence = soon.head + model.vocabulary.encode(soon.data)
            if sequence:
                yield from distribution_after(sequence)


def _next_texts(
    prediction: Prediction, bytes_next: NDArray[np.float64] | None
) -> dict[bytes, float]:
    """What may be typed next: each next character, and each candidate whole, with its share."""
    shares: dict[bytes, float] = defaultdict(float)
    for candidate in prediction.candidates:
        first = candidate.insertion.decode()[:1].encode()
        shares[first] += candidate.probability
        if candidate.insertion != first:
            shares[candidate.insertion] += candidate.probability
    if bytes_next is not None:
        # Beside the listed candidates there are many that share their first letters.
        for byte in np.flatnonzero(bytes_next[:_ASCII] >= _LEAST).tolist():
            shares[bytes([byte])] = max(shares[bytes([byte])], float(bytes_next[byte]))
    return shares
