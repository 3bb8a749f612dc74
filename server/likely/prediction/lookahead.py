"""What the next keystrokes will ask, computed while nothing else waits."""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence

from likely.prediction.context import TextBefore, make_context
from likely.prediction.cursor import CursorOptions, predict_at_cursor
from likely.prediction.protocol import LanguageModel, LogProbabilities
from likely.text.vocabulary import TokenIds, Vocabulary

MAX_ROWS = 32
"""Rows per look-ahead: after them the machine rests until the next keystroke."""

FEW_ROWS = 8
"""Rows per look-ahead where power is scarce: one pass, for the likeliest candidates."""

_BATCH = 8
"""Rows per pass: eight cost half as much again as one, since a pass mostly reads weights."""

_LEAST = 0.005
"""Texts less likely to be typed than this are not looked at."""


def look_ahead(
    model: LanguageModel, text: TextBefore, options: CursorOptions, max_rows: int = MAX_ROWS
) -> Iterator[None]:
    """Compute the rows that the likeliest continuations of `text` will need; yields in between.

    Texts that the user may have produced by the next requests, typed character by character or
    accepted from the list, are visited in the order of their probability. Finally, where the
    window is about to move on, the next one is warmed.
    """
    known = _KnownRows(model)
    heap: list[tuple[float, bytes]] = [(-1.0, b"")]
    seen = {b""}
    waiting: dict[bytes, float] = {}
    missing: dict[TokenIds, None] = {}
    computed = 0
    while (heap or waiting) and computed < max_rows:
        if heap and len(missing) < _BATCH:
            negative, typed = heapq.heappop(heap)
            try:
                children = _next_texts(known, text, typed, options)
            except _RowsMissingError as error:
                missing.update(dict.fromkeys(error.sequences))
                waiting[typed] = negative
                continue
            for data, share in children.items():
                longer, probability = typed + data, -negative * share
                if longer not in seen and probability >= _LEAST:
                    seen.add(longer)
                    heapq.heappush(heap, (-probability, longer))
            yield
        else:
            model.log_probabilities(list(missing))
            computed += len(missing)
            missing.clear()
            for typed, negative in waiting.items():
                heapq.heappush(heap, (negative, typed))
            waiting.clear()
            yield
    yield from _warm_next_window(model, text, options)


def _next_texts(
    model: LanguageModel, text: TextBefore, typed: bytes, options: CursorOptions
) -> dict[bytes, float]:
    """What may follow `typed`: each next character, and each candidate whole, with its share."""
    prediction = predict_at_cursor(model, TextBefore(text.data + typed, text.start), options)
    shares: dict[bytes, float] = defaultdict(float)
    for candidate in prediction.candidates:
        first = candidate.insertion.decode()[:1].encode()
        shares[first] += candidate.probability
        if candidate.insertion != first:
            shares[candidate.insertion] += candidate.probability
    return shares


def _warm_next_window(
    model: LanguageModel, text: TextBefore, options: CursorOptions
) -> Iterator[None]:
    now = make_context(model, text, options.context_tokens, options.document_start)
    soon = make_context(model, text, options.context_tokens, options.document_start, ahead=True)
    if soon.start != now.start:
        sequence = soon.head + model.vocabulary.encode(soon.data)
        if sequence and not model.knows(sequence):
            model.log_probabilities([sequence])
            yield


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
