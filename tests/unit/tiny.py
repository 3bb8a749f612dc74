"""Tiny tokenizers, another tokenizer to hold ours against, and a random language model."""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from fakes import ScriptedEngine
from likely.engines.engine import Driver, Engine
from likely.prediction.candidates import Prediction
from likely.prediction.cursor import predict_at_cursor
from likely.prediction.distribution import Dense
from likely.prediction.options import CursorOptions
from likely.prediction.question import LanguageModel, Question
from likely.prediction.window import TextBefore
from likely.text.vocabulary import TokenIds, Vocabulary
from oracle import Bpe

T = TypeVar("T")

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = QWEN.replace(r"]?\p{L}+", r"]?[\p{L}\p{M}]+").replace(r"[^\s\p{L}", r"[^\s\p{L}\p{M}")

PROSE = (
    "This weekend I plan to spend the day at the lake. They're sure it'll rain; she's not, and"
    " we've seen it before. I'd say don't.\n\nThe end.\n\n\nThe  spaced  out   words.\r\n\r\nOn"
    " two lines.\r\nIt's 2024, 12 of 365 days, 1000000 times.   \n \n  \n"
)
CODE = (
    "def plan(days):\n    for day in days:\n        if day:\n            return day\n\n\n"
    "class Plan:\n\tdef __init__(self):\n\t\tself.days = [1, 22, 333]\n\t\t\n\t\t# it's done\n"
    "x = ((a + b) * (c - d)) != {'re': \"'ll\"}\n"
)
WORLD = (
    "Café naïve über Ⅷ ² élan. 漢字と仮名 中文 中国 日本語。 😀 👩‍💻 😀😀 e\u0301 "
    "\u00a0nbsp\u3000wide 'ſ 'S 'LL don\u2019t"
)
CORPORA = {"prose": PROSE, "code": CODE, "world": WORLD, "all": PROSE + CODE + WORLD}

_PIECES = (
    *"abdeilmrstvx",
    *"SRx12³Ⅷ",
    *".!-_('\"",
    *(" ", " ", " ", "\n", "\n", "\t", "\r\n", "\r"),
    *("'re", "'ll", "'s", "'v", "'S", "'", "''", " '"),
    *("  ", "   ", "\n\n", "\t\t", " \n", "\n ", "\n\t\t", " \t "),
    *("the", " the", " day", " plan", "They", "def", "return", "12", "365", "000"),
    *("é", "e\u0301", "\u0301", "ß", "ſ", "\u017f", "中", "漢字", " 日", "。"),
    *("😀", "👩‍💻", "\u00a0", "\u3000", "\x85", "\u2028", "\ufeff", "\x00", "’"),
)
texts = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=9).map("".join)
"""Random texts with all that a pre-tokenizer can trip over."""

clippings = st.builds(
    lambda corpus, start, length: corpus[start % len(corpus) :][:length],
    st.sampled_from([PROSE, CODE, WORLD]),
    st.integers(0, 10_000),
    st.integers(1, 12),
)
"""Bits of what the tokenizers were trained on, so that tokens are long."""


@dataclass(frozen=True)
class Style:
    """A kind of tokenizer, trained on a corpus."""

    pattern: str
    corpus: str
    merges: int
    digits: bool = False
    prefix_space: bool = False
    normalizes: bool = False
    ignores_merges: bool = False

    def __str__(self) -> str:
        name = {GPT2: "gpt2", LLAMA3: "llama3", QWEN: "qwen", QWEN35: "qwen35"}[self.pattern]
        flags = [
            flag
            for flag in ("digits", "prefix_space", "normalizes", "ignores_merges")
            if getattr(self, flag)
        ]
        return "-".join([name, self.corpus, str(self.merges), *flags])


STYLES = (
    Style(GPT2, "all", 220),
    Style(GPT2, "prose", 120, prefix_space=True),
    Style(GPT2, "code", 150, digits=True),
    Style(GPT2, "world", 90),
    Style(GPT2, "all", 0),
    Style(LLAMA3, "all", 220, ignores_merges=True),
    Style(LLAMA3, "code", 120),
    Style(QWEN, "all", 220, normalizes=True),
    Style(QWEN, "world", 90, digits=True),
    Style(QWEN35, "world", 120),
)


@cache
def definition(style: Style) -> str:
    """A `tokenizer.json` as its makers would ship it."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=style.ignores_merges))
    parts: list[pre_tokenizers.PreTokenizer] = []
    if style.digits:
        parts.append(pre_tokenizers.Digits(individual_digits=True))
    if style.pattern == GPT2:
        parts.append(pre_tokenizers.ByteLevel(add_prefix_space=style.prefix_space))
    else:
        parts.append(pre_tokenizers.Split(Regex(style.pattern), "isolated"))
        parts.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    tokenizer.pre_tokenizer = parts[0] if len(parts) == 1 else pre_tokenizers.Sequence(parts)
    if style.normalizes:
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=257 + style.merges,
        min_frequency=0,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPORA[style.corpus].splitlines(keepends=True), trainer)
    tokenizer.train_from_iterator([CORPORA[style.corpus]], trainer)
    return tokenizer.to_str()


@cache
def vocabulary(style: Style) -> Vocabulary:
    return Vocabulary(definition(style))


# What may follow a text, and what may follow a character that is cut.
_FUTURES = (*("", "a", "1", "!", "'", " ", "\n", "\t", "e", "l", "ve", "L", "中", " a", "\u00a0a"),)
_FUTURES_OF_CUT = ("", "a", "1", "\n")


class OtherTokenizer(Bpe):
    """The tokenizer of a style, made apart.

    A token sequence is canonical here by definition: it is what the first pre-tokens of some
    text, cut where its bytes end, merge to; `_FUTURES` and all kinds of completions of a cut
    character are tried as the text's end.
    """

    def __init__(self, style: Style) -> None:
        description = json.loads(definition(style))["model"]
        names = {n: token for n, token in description["vocab"].items() if n != "<|endoftext|>"}
        super().__init__(
            names,
            description["merges"],
            [style.pattern],
            digits=style.digits,
            ignores_merges=style.ignores_merges,
        )
        self._canonical: dict[bytes, frozenset[TokenIds]] = {}

    def encodings(self, data: bytes) -> frozenset[TokenIds]:
        """All canonical encodings of `data`, whose last character may be cut."""
        if data not in self._canonical:
            whole = data.decode(errors="ignore")
            cut = data[len(whole.encode()) :]
            valid = whole.encode() + cut == data
            completions = _completions(cut) if cut else ("",)
            self._canonical[data] = frozenset(
                self.first_tokens(whole + completion + future, len(data))
                for completion in (completions if valid else ())
                for future in (_FUTURES_OF_CUT if cut else _FUTURES)
            )
        return self._canonical[data]

    def is_canonical(self, tokens: TokenIds) -> bool:
        return tokens in self.encodings(b"".join(self.bytes_of[token] for token in tokens))

    @cached_property
    def _by_first_byte(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for token, data in self.bytes_of.items():
            found.setdefault(data[0], []).append(token)
        return found

    def minimal_covers(self, data: bytes) -> Iterator[TokenIds]:
        """All canonical sequences that reach the end of `data` with their last token."""
        pending: list[tuple[TokenIds, bytes]] = [((), data)]
        while pending:
            head, left = pending.pop()
            for token in self._by_first_byte.get(left[0], ()):
                spelled = self.bytes_of[token]
                if left.startswith(spelled) or spelled.startswith(left):
                    tokens = (*head, token)
                    if not self.is_canonical(tokens):
                        continue
                    if len(spelled) < len(left):
                        pending.append((tokens, left[len(spelled) :]))
                    else:
                        yield tokens


def _completions(cut: bytes) -> tuple[str, ...]:
    """Characters whose UTF-8 begins with `cut`: one of each kind, and those of the corpora."""
    return _completion_table().get(cut, ())


@cache
def _completion_table() -> dict[bytes, tuple[str, ...]]:
    known = {ord(character) for character in "".join([*CORPORA.values(), *_PIECES])}
    table: dict[bytes, dict[object, str]] = {}
    # Above the first two planes there is nothing but ideographs and private use.
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x20000), *range(0x20000, 0x110000, 0x40)):
        character = chr(code)
        kind = (unicodedata.category(character), character.isspace())
        encoded = character.encode()
        for length in range(1, len(encoded)):
            kinds = table.setdefault(encoded[:length], {})
            kinds.setdefault(code if code in known else kind, character)
    return {cut: tuple(dict.fromkeys(kinds.values())) for cut, kinds in table.items()}


class RandomEngine(ScriptedEngine):
    """An engine with some distribution or other after every token sequence."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        spread: float = 3.0,
        max_tokens: int = 256,
        separated: bool = True,
    ) -> None:
        super().__init__({})
        separator = min(vocabulary.special) if separated else None
        self.model = LanguageModel("random", vocabulary, max_tokens, separator)
        self._spread = spread
        self._made: dict[TokenIds, Dense] = {}

    @property
    def separator(self) -> TokenIds:
        """The sequence that stands before a document."""
        assert self.model.separator is not None
        return (self.model.separator,)

    def row(self, prefix: TokenIds) -> Dense:
        if prefix not in self._made:
            random = np.random.default_rng([len(prefix), *prefix])
            logits = self._spread * random.standard_normal(len(self.model.vocabulary))
            row = (logits - np.logaddexp.reduce(logits)).astype(np.float32)
            row.setflags(write=False)
            self._made[prefix] = Dense(row)
        return self._made[prefix]

    def log_probability(self, tokens: TokenIds, before: TokenIds) -> float:
        """log P(tokens | before), added up in float64."""
        total = 0.0
        for place, token in enumerate(tokens):
            total += self.row(before + tokens[:place]).log_probability(token)
        return total


def answer(engine: Engine, question: Question[T]) -> T:
    """The answer to a question of which nothing is known yet."""
    return Driver(engine).answer(question)


def predict(engine: Engine, text: str, options: CursorOptions) -> Prediction:
    """The prediction at the end of a document of which nothing is known yet."""
    before = TextBefore(text.encode(), 0)
    return answer(engine, predict_at_cursor(engine.model, before, options))
