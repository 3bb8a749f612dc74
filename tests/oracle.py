"""What the code under test is held against: slow, simple, and apart from it.

Byte-level BPE is written anew from its papers, with `regex` patterns and a loop that merges, and
shares no line with ours nor its tokenizer library; the scores of a passage are worked out row by
row.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import regex  # type: ignore[import-untyped]
from numpy.typing import NDArray

from likely.prediction.question import Passage, Scores

TokenIds = tuple[int, ...]


class Bpe:
    """A tokenizer: its tokens' names, its merges in order, and the patterns that split text.

    The patterns split one after another; what none of them matches stays a piece. `digits`: each
    digit is split off before that.
    """

    def __init__(
        self,
        names: Mapping[str, int],
        merges: Sequence[str | Sequence[str]],
        patterns: Sequence[str],
        *,
        digits: bool = False,
        ignores_merges: bool = False,
    ) -> None:
        letters = _byte_letters()
        self.bytes_of: dict[int, bytes] = {}
        for name, token in names.items():
            if set(name) <= letters.keys():
                self.bytes_of[token] = bytes(letters[letter] for letter in name)
        self.id_of = {data: token for token, data in self.bytes_of.items()}
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in merges]
        self._ranks = {
            tuple(bytes(letters[letter] for letter in part) for part in pair): rank
            for rank, pair in enumerate(pairs)
        }
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._digits = digits
        self._ignores_merges = ignores_merges
        self._merged: dict[bytes, TokenIds] = {}

    def pre_tokens(self, text: str) -> list[str]:
        pieces = regex.findall(r"\p{N}|\P{N}+", text) if self._digits else [text]
        for pattern in self._patterns:
            pieces = [part for piece in pieces for part in _isolated(pattern, piece)]
        return pieces

    def merge(self, pre_token: bytes) -> TokenIds:
        if pre_token not in self._merged:
            parts = [bytes([byte]) for byte in pre_token]
            if self._ignores_merges and pre_token in self.id_of:
                parts = [pre_token]
            while True:
                ranked = [
                    (self._ranks[pair], place)
                    for place, pair in enumerate(pairwise(parts))
                    if pair in self._ranks
                ]
                if not ranked:
                    break
                _, place = min(ranked)
                parts[place : place + 2] = [parts[place] + parts[place + 1]]
            self._merged[pre_token] = tuple(self.id_of[part] for part in parts)
        return self._merged[pre_token]

    def encode(self, text: str) -> TokenIds:
        return self.first_tokens(text, len(text.encode()))

    def first_tokens(self, text: str, length: int) -> TokenIds:
        """What the pre-tokens of `text`, cut after `length` bytes, merge to."""
        tokens: list[int] = []
        for pre_token in self.pre_tokens(text):
            piece = pre_token.encode()[:length]
            length -= len(piece)
            if piece:
                tokens += self.merge(piece)
        return tuple(tokens)


def _compiled(pattern: str) -> "regex.Pattern[str]":
    # Python's \s has four control characters that the tokenizers' own does not have.
    space, other = r"\p{White_Space}", r"\P{White_Space}"
    return regex.compile(pattern.replace(r"\s", space).replace(r"\S", other))


def _isolated(pattern: "regex.Pattern[str]", text: str) -> list[str]:
    """The matches in `text`, and what stands between them."""
    pieces, end = [], 0
    for match in pattern.finditer(text):
        pieces += [text[end : match.start()], match[0]]
        end = match.end()
    return [piece for piece in [*pieces, text[end:]] if piece]


def _byte_letters() -> dict[str, int]:
    letters = {}
    stand_in = 0x100
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or byte >= 0xAE:
            letters[chr(byte)] = byte
        else:
            letters[chr(stand_in)] = byte
            stand_in += 1
    return letters


def score_row_by_row(passage: Passage, logs: Callable[[TokenIds], NDArray[np.float32]]) -> Scores:
    """The scores of a passage, from the natural-log probabilities after each of its prefixes."""
    tokens = passage.tokens
    rows = [logs(tokens[:end]).astype(np.float64) for end in range(passage.start, len(tokens) + 1)]
    scored = list(zip(rows[:-1], tokens[passage.start :], strict=True))
    tops = [sorted(range(len(row)), key=lambda i: (-row[i], i))[: passage.top] for row in rows[:-1]]
    width = min(passage.top, len(rows[0]))
    top_logs = [[row[i] for i in top] for row, top in zip(rows, tops, strict=False)]
    sets = [[math.fsum(np.exp(row) * s) for s in passage.sets] for row in rows]
    return Scores(
        logprobs=np.array([row[token] for row, token in scored], np.float32),
        ranks=np.array([1 + sum(row > row[token]) for row, token in scored], np.int64),
        entropies=np.array(
            [-math.fsum(math.exp(x) * x for x in row if x > -math.inf) for row, _ in scored]
        )
        / math.log(2),
        top_ids=np.array(tops, np.int64).reshape(len(scored), width),
        top_logprobs=np.array(top_logs, np.float32).reshape(len(scored), width),
        set_probabilities=np.array(sets, np.float32).reshape(len(rows), len(passage.sets)),
        unknown_mass=np.zeros(len(scored), np.float32),
    )
