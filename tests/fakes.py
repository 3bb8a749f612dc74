"""A scripted engine over a small vocabulary, for tests of logic and of the server."""

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from likely.engines.engine import Work
from likely.prediction.distribution import Dense, Sparse
from likely.prediction.question import Distribution, LanguageModel, Passage, Scores
from likely.text.vocabulary import TokenIds, Vocabulary
from oracle import score_row_by_row

Script = Mapping[str, Mapping[str, float]]

WORDS = (
    "This weekend I plan to visit celebrate have be attend spend speak spread go see read return"
    " the a world creation of and in is that it for not or on def for if else value values items"
    " café 漢字 ¿que? naïve"
)
PHRASE = "This weekend I plan to"
SCRIPT: Script = {
    "": {"This": 0.5, "The": 0.2},
    PHRASE: {" visit": 0.4, " celebrate": 0.2, " spend": 0.1, " be": 0.05, "\n": 0.04, ".": 0.03},
    PHRASE + " ": {"visit": 0.3, "spend": 0.2},
    PHRASE + " visit": {" the": 0.6, " a": 0.2, ".": 0.1},
    PHRASE + " spend": {" the": 0.5, " it": 0.3},
}


@cache
def vocabulary() -> Vocabulary:
    """Byte-level BPE in the manner of GPT-2, with whole words for `WORDS`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        min_frequency=0,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS, *WORDS.split(), "The", " The"], trainer)
    return Vocabulary(tokenizer.to_str())


class ScriptedEngine:
    """An engine that says what its script says.

    The script's longest key that the text ends with decides ("" is the empty text alone); what
    it leaves of the mass is spread evenly. `during` runs in the middle of every pass.
    """

    def __init__(
        self,
        script: Script = SCRIPT,
        *,
        name: str = "fake",
        during: Callable[["ScriptedEngine", Work], None] = lambda _engine, _work: None,
    ) -> None:
        own = vocabulary()
        self.model = LanguageModel(name, own, 256, next(iter(own.special)))
        self.description = f"{name} · script"
        self.rows_computed = 0
        self.released: list[Hashable] = []
        self.asked: list[TokenIds] = []
        self._script = script
        self._during = during
        self._rows: dict[str, Dense] = {}

    def distributions(self, prefixes: Sequence[TokenIds], work: Work) -> list[Distribution]:
        assert all(prefixes), "a model cannot be asked about nothing"
        self.asked += prefixes
        self.rows_computed += len(prefixes)
        self._during(self, work)
        work.poll()
        return [self.row(prefix) for prefix in prefixes]

    def scores(self, passage: Passage, work: Work) -> Scores:
        self._during(self, work)
        work.poll()
        return score_row_by_row(passage, self.logs)

    def release(self, owner: Hashable) -> None:
        self.released.append(owner)

    def clear(self) -> None:
        self.asked.clear()

    def logs(self, prefix: TokenIds) -> NDArray[np.float32]:
        """The natural-log probabilities after a prefix; shape (vocabulary size,)."""
        return self.row(prefix).log_probabilities()

    def row(self, prefix: TokenIds) -> Dense:
        text = self.model.vocabulary.decode(prefix).decode(errors="replace")
        known = [key for key in self._script if text.endswith(key) and bool(key) == bool(text)]
        key = max(known, key=len, default="(any other text)")
        if key not in self._rows:
            scripted = self._script.get(key, {})
            size = len(self.model.vocabulary)
            left = (1 - math.fsum(scripted.values())) / (size - len(scripted))
            row = np.full(size, math.log(left), dtype=np.float32)
            for token, probability in scripted.items():
                (token_id,) = self.model.vocabulary.encode(token.encode())
                row[token_id] = math.log(probability)
            row.setflags(write=False)
            self._rows[key] = Dense(row)
        return self._rows[key]


def slowly(seconds: float) -> Callable[[ScriptedEngine, Work], None]:
    """A pass that takes so long, unless it is interrupted."""

    def during(_engine: ScriptedEngine, work: Work) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            work.poll()
            time.sleep(0.005)

    return during


class SparseEngine:
    """Tells of another engine's distributions the likeliest tokens only."""

    def __init__(self, whole: ScriptedEngine, told: int) -> None:
        self.model = whole.model
        self.description = f"{whole.description} · the likeliest {told}"
        self.rows_computed = 0
        self._whole = whole
        self._told = told

    def distributions(self, prefixes: Sequence[TokenIds], work: Work) -> list[Distribution]:
        self.rows_computed += len(prefixes)
        return [self.row(prefix) for prefix in prefixes]

    def row(self, prefix: TokenIds) -> Sparse:
        row = self._whole.row(prefix)
        known = {token: row.log_probability(token) for token in row.top(self._told)}
        return Sparse(known, len(self.model.vocabulary))

    def scores(self, passage: Passage, work: Work) -> Scores:
        raise NotImplementedError

    def release(self, owner: Hashable) -> None:
        raise NotImplementedError

    def clear(self) -> None:
        raise NotImplementedError
