"""A scripted language model over a small vocabulary, for tests of logic and of the server."""

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from likely.prediction.protocol import LogProbabilities
from likely.text.vocabulary import TokenIds, Vocabulary

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


class FakeModel:
    """A language model that says what its script says.

    The script's longest key that the text ends with decides ("" is the empty text alone); what
    it leaves of the mass is spread evenly. `during` runs in the middle of every pass.
    """

    def __init__(
        self,
        script: Script = SCRIPT,
        *,
        name: str = "fake",
        during: Callable[["FakeModel"], None] = lambda _model: None,
    ) -> None:
        self.name = name
        self.vocabulary = vocabulary()
        self.max_tokens = 256
        self.separator = next(iter(self.vocabulary.special))
        self.poll: Callable[[], None] = lambda: None
        self.owner: Hashable = None
        self.released: list[Hashable] = []
        self.asked: list[TokenIds] = []
        self._script = script
        self._during = during
        self._rows: dict[str, LogProbabilities] = {}

    def log_probabilities(self, sequences: Sequence[TokenIds]) -> list[LogProbabilities]:
        self.asked += sequences
        self._during(self)
        self.poll()
        return [self._row(self.vocabulary.decode(s).decode(errors="replace")) for s in sequences]

    def knows(self, sequence: TokenIds) -> bool:
        return sequence in self.asked

    def release(self, owner: Hashable) -> None:
        self.released.append(owner)

    def _row(self, text: str) -> LogProbabilities:
        known = [key for key in self._script if text.endswith(key) and bool(key) == bool(text)]
        key = max(known, key=len, default="(any other text)")
        if key not in self._rows:
            scripted = self._script.get(key, {})
            size = len(self.vocabulary)
            left = (1 - math.fsum(scripted.values())) / (size - len(scripted))
            row = np.full(size, math.log(left), dtype=np.float32)
            for token, probability in scripted.items():
                (token_id,) = self.vocabulary.encode(token.encode())
                row[token_id] = math.log(probability)
            row.setflags(write=False)
            self._rows[key] = row
        return self._rows[key]


def slowly(seconds: float) -> Callable[[FakeModel], None]:
    """A pass that takes so long, unless it is abandoned."""

    def during(model: FakeModel) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            model.poll()
            time.sleep(0.005)

    return during
