"""Answers at cursors: kept once they are given, and worked out before they are asked for."""

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from likely.prediction.cursor import (
    CursorOptions,
    Prediction,
    context_before,
    predict_in_context,
)
from likely.prediction.next_bytes import next_bytes
from likely.prediction.protocol import LanguageModel, LogProbabilities
from likely.prediction.window import Context, TextBefore
from likely.text.vocabulary import TokenIds, Vocabulary

MAX_ROWS = 32
"""Rows per look-ahead: after them the machine rests until the next keystroke."""

FEW_ROWS = 8
"""Rows per look-ahead where power is scarce: one pass, for the likeliest candidates."""

_BATCH = 16
"""Rows per pass: sixteen cost less than twice as much as one, since a pass reads all weights."""

_LEAST = 0.005
"""Texts less likely to be typed than this are not looked at."""

_MAX_ANSWERS = 1024
_ASCII = 128


@dataclass(frozen=True, slots=True)
class _Answer:
    """A prediction, and the texts that may be typed next with their shares."""

    prediction: Prediction
    next_texts: Mapping[bytes, float]


Model = TypeVar("Model", bound=LanguageModel)


class Predictor(Generic[Model]):
    """Predictions of one model; used by one thread at a time."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._known = _KnownRows(model)
        self._answers: OrderedDict[tuple[Context, CursorOptions], _Answer] = OrderedDict()

    def predict(self, text: TextBefore, options: CursorOptions) -> Prediction:
        """See `predict_at_cursor`; the same question again costs nothing."""
        return self._answer(self.model, text, options).prediction

    def forget(self) -> None:
        """Keep nothing of what was asked."""
        self._answers.clear()

    def look_ahead(
        self, text: TextBefore, options: CursorOptions, max_rows: int = MAX_ROWS
    ) -> Iterator[None]:
        """Answer what is likely to be asked after `text`; yields in between.

        Texts that the user may have produced by the next requests, typed character by
        character or accepted from the list, are visited in the order of their probability.
        Finally, where the window is about to move on, the next one is warmed.
        """
        heap: list[tuple[float, bytes]] = [(-1.0, b"")]
        seen = {b""}
        waiting: dict[bytes, float] = {}
        missing: dict[TokenIds, None] = {}
        computed = 0
        while (heap or waiting) and computed < max_rows:
            if heap and len(missing) < _BATCH:
                negative, typed = heapq.heappop(heap)
                longer = TextBefore(text.data + typed, text.start)
                try:
                    answer = self._answer(self._known, longer, options)
                except _RowsMissingError as error:
                    missing.update(dict.fromkeys(error.sequences))
                    waiting[typed] = negative
                else:
                    for data, share in answer.next_texts.items():
                        next_typed, probability = typed + data, -negative * share
                        if next_typed not in seen and probability >= _LEAST:
                            seen.add(next_typed)
                            heapq.heappush(heap, (-probability, next_typed))
            else:
                self.model.log_probabilities(list(missing))
                computed += len(missing)
                missing.clear()
                for typed, negative in waiting.items():
                    heapq.heappush(heap, (negative, typed))
                waiting.clear()
            yield
        yield from self._warm_next_window(text, options)

    def _answer(self, model: LanguageModel, text: TextBefore, options: CursorOptions) -> _Answer:
        context = context_before(model, text, options)
        question = context, options
        answer = self._answers.get(question)
        if answer is None:
            prediction, weighed = predict_in_context(model, context, options)
            bytes_next = None if weighed is None else next_bytes(model, *weighed)
            answer = _Answer(prediction, _next_texts(prediction, bytes_next))
            self._answers[question] = answer
            if len(self._answers) > _MAX_ANSWERS:
                self._answers.popitem(last=False)
        else:
            self._answers.move_to_end(question)
        return answer

    def _warm_next_window(self, text: TextBefore, options: CursorOptions) -> Iterator[None]:
        now = context_before(self.model, text, options)
        soon = context_before(self.model, text, options, ahead=True)
        if soon.start != now.start:
            sequence = soon.head + self.model.vocabulary.encode(soon.data)
            if sequence and not self.model.knows(sequence):
                self.model.log_probabilities([sequence])
                yield


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


class _RowsMissingError(Exception):
    """Rows that an answer needs and that are not at hand."""

    def __init__(self, sequences: Sequence[TokenIds]) -> None:
        super().__init__()
        self.sequences = sequences


class _KnownRows:
    """A language model that answers only from what is at hand."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.knows = model.knows

    @property
    def name(self) -> str:
        """See `LanguageModel`."""
        return self._model.name

    @property
    def vocabulary(self) -> Vocabulary:
        """See `LanguageModel`."""
        return self._model.vocabulary

    @property
    def max_tokens(self) -> int:
        """See `LanguageModel`."""
        return self._model.max_tokens

    @property
    def separator(self) -> int | None:
        """See `LanguageModel`."""
        return self._model.separator

    def log_probabilities(self, sequences: Sequence[TokenIds]) -> list[LogProbabilities]:
        """The rows, or _RowsMissingError naming those that are not at hand."""
        missing = [sequence for sequence in sequences if not self._model.knows(sequence)]
        if missing:
            raise _RowsMissingError(missing)
        return self._model.log_probabilities(sequences)
