"""Where the stable part of a text ends; canonical encodings; covers.

A token sequence is canonical when some text makes the tokenizer begin with it: the text's
pre-tokens, cut where the sequence's bytes end, merge to the sequence. What follows matters:
GPT-2 makes one token of a blank line at the end of a text, and two of it before a word, so that
both are canonical. Everything here holds for byte-level BPE behind a known pre-tokenizer
(`Vocabulary.exact`); property tests hold it against another tokenizer. Sources: Vieira et al.
2024 (arXiv 2412.03719) and Phan et al. 2024 (arXiv 2410.09303) for covers, Hayase et al. 2025
(arXiv 2506.14123) for the restriction to canonical encodings.
"""

import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from likely.text.utf8 import is_inside
from likely.text.vocabulary import Ids, TokenIds, Vocabulary, is_whole

MAX_FRAGMENT = 2048
"""Bytes; a longer fragment (an endless word) is not worked out exactly: merging takes too long."""

_KNOWN_BASES = 16
_KNOWN_CONTINUATIONS = 4096
_KNOWN_JUNCTIONS = 2**16
_LOOK_AHEAD = 3
"""Pre-tokens after a boundary that settle it whatever follows (two would do)."""


@dataclass(frozen=True, slots=True)
class Segments:
    """A text split into `base` (tokens that no further typing changes) and the fragment."""

    base: TokenIds
    base_length: int
    fragment: bytes


@dataclass(frozen=True, slots=True)
class Cover:
    """All covers that share their first tokens.

    `head` is h_i, a canonical encoding of the fragment's first i bytes (trailing white space
    may have several); `tokens` is A_i, the ids that canonically continue it to the fragment's
    end or past it; `overhang` = len(fragment) - i is the number of bytes of each token that are
    typed already.
    """

    head: TokenIds
    tokens: Ids
    overhang: int


class Fragments:
    """Segmentation and covers for one vocabulary; memoizes, so one thread at a time."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        if vocabulary.pre_tokenizer is None:
            raise ValueError("covers need byte-level BPE behind a known pre-tokenizer")
        self._vocabulary = vocabulary
        self._rules = vocabulary.pre_tokenizer
        self._bases: OrderedDict[bytes, tuple[TokenIds, int]] = OrderedDict()
        self.heads = lru_cache(maxsize=4096)(self._find_heads)
        self._readings = lru_cache(maxsize=16384)(self._find_readings)
        self._continuing: OrderedDict[tuple[bytes, TokenIds, bytes], Ids] = OrderedDict()
        self._neighbours = lru_cache(maxsize=1024)(self._find_neighbours)
        self._junctions: dict[tuple[tuple[str, ...], int], tuple[tuple[int, ...], ...]] = {}

    def segment(self, text: bytes) -> Segments:
        """Split `text` (whole characters) where its tokens stop depending on what follows.

        Equals a computation from scratch; what was learnt from earlier calls only makes it
        cheap: a boundary with `_LOOK_AHEAD` pre-tokens behind it can never move.
        """
        for known, (tokens, length) in reversed(self._bases.items()):
            if text.startswith(known):
                segments = self._segment_from(text, tokens, length)
                if segments is not None:
                    if known in self._bases:  # else a newer one has just taken its place
                        self._bases.move_to_end(known)
                    return segments
        return self._segment_from(text, (), 0) or Segments((), 0, text)

    def _segment_from(self, text: bytes, tokens: TokenIds, start: int) -> Segments | None:
        tail = text[start:]
        pieces = self._pieces(tail.decode())
        last = self._rules.first_unstable(pieces)
        while self._vocabulary.composes and last > 0 and _combines(pieces[last][0]):
            last -= 1  # a mark yet to be typed may go between this one and its letter
        if last == 0 and start > 0:
            return None
        length = start + sum(len(piece.encode()) for piece in pieces[:last])
        # What follows decides how white space is split, so the base alone may not be encoded.
        base = tokens + self._without(self._vocabulary.encode(tail), pieces[last:])
        if last > _LOOK_AHEAD:
            ahead = pieces[last - _LOOK_AHEAD : last]
            settled = length - sum(len(piece.encode()) for piece in ahead)
            self._bases[text[:length]] = (self._without(base, ahead), settled)
            if len(self._bases) > _KNOWN_BASES:
                self._bases.popitem(last=False)
        return Segments(base, length, text[length:])

    def _pieces(self, text: str) -> list[str]:
        ends = self._rules.ends(text)
        return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    def _without(self, tokens: TokenIds, last: list[str]) -> TokenIds:
        """`tokens` without those of the pre-tokens that come last."""
        count = sum(len(self._vocabulary.merge(piece.encode())) for piece in last)
        return tokens[: len(tokens) - count]

    def covers(self, fragment: bytes) -> list[Cover]:
        """The A_i that are not empty, for i from 0 on. `fragment`: whole characters, not empty."""
        found = []
        longest = max(0, len(fragment) - self._longest_token)
        for i in range(longest, len(fragment)):
            suffix = fragment[i:]
            if not len(self._vocabulary.starting_with(suffix)):
                continue
            for head in self.heads(fragment, i):
                tokens = self._continue_with(fragment[:i], head, suffix)
                if len(tokens):
                    found.append(Cover(head, tokens, len(suffix)))
        return found

    @cached_property
    def _longest_token(self) -> int:
        return max(len(self._vocabulary.token_bytes(i)) for i in range(len(self._vocabulary)))

    def neighbours(self, text: bytes, head: TokenIds, tokens: Ids) -> NDArray[np.bool_]:
        """Which of `tokens` canonically follow `head`, an encoding of `text`; one per token."""
        return self._neighbours(text, head, tokens.tobytes())

    def _find_neighbours(self, text: bytes, head: TokenIds, tokens: bytes) -> NDArray[np.bool_]:
        return self._continue(text, head, np.frombuffer(tokens, dtype=np.int64))

    def _find_heads(self, text: bytes, i: int) -> tuple[TokenIds, ...]:
        """The canonical encodings of the first i bytes of `text`, the likeliest reading first.

        Inside a character its class is known from the whole.
        """
        if i == 0:
            return ((),)
        whole = i
        while is_inside(text, whole):
            whole += 1
        seen = text[:whole].decode()
        return tuple(dict.fromkeys(self._merge_cut(seen, ends, i) for ends in self._readings(seen)))

    def _find_readings(self, text: str) -> tuple[tuple[int, ...], ...]:
        """How the pre-tokenizer may split `text`, depending on what follows.

        Each reading lists the character offsets inside `text` at which pre-tokens end.
        """
        readings: dict[tuple[int, ...], None] = {}
        for future in self._rules.futures(text):
            ends = self._rules.ends(text + future)
            readings[tuple(end for end in ends if end < len(text))] = None
        return tuple(readings)

    def _merge_cut(self, text: str, ends: tuple[int, ...], length: int) -> TokenIds:
        """Tokens of the first `length` bytes of `text`, split at `ends`; the last piece is cut."""
        tokens: list[int] = []
        for begin, end in zip((0, *ends), (*ends, len(text)), strict=True):
            piece = text[begin:end].encode()[:length]
            length -= len(piece)
            tokens += self._vocabulary.merge(piece) if piece else ()
        return tuple(tokens)

    def _continue_with(self, left: bytes, head: TokenIds, suffix: bytes) -> Ids:
        """Ids t that start with `suffix` such that `head` + (t,) is canonical after `left`."""
        found = self._continuing.get((left, head, suffix))
        if found is not None:
            self._continuing.move_to_end((left, head, suffix))
            return found
        tokens = self._vocabulary.starting_with(suffix)
        for length in range(len(suffix) - 1, 0, -1):
            # With less typed it was the same question about more tokens.
            more = self._continuing.get((left, head, suffix[:length]))
            if more is not None:
                found = tokens[np.isin(tokens, more)]
                break
        else:
            found = tokens[self._continue(left, head, tokens)]
        self._continuing[left, head, suffix] = found
        if len(self._continuing) > _KNOWN_CONTINUATIONS:
            self._continuing.popitem(last=False)
        return found

    def _continue(self, left: bytes, head: TokenIds, tokens: Ids) -> NDArray[np.bool_]:
        """For each token t: is `head` + (t,) a canonical encoding of `left` + bytes(t)?"""
        result = np.zeros(len(tokens), dtype=np.bool_)
        simple = self._is_whole[tokens] & is_whole(left)
        for place in np.flatnonzero(~simple):
            token = int(tokens[place])
            data = left + self._vocabulary.token_bytes(token)
            result[place] = self._is_canonical(data, (*head, token))
        simple &= self._is_single[tokens]
        shape_of = self._shapes[tokens]
        shapes_by_ends: dict[tuple[int, ...], list[int]] = {}
        kinds = self._rules.kinds(left.decode(errors="ignore"))
        for shape in np.unique(shape_of[simple]).tolist():
            for ends in self._find_junctions(left, kinds, shape):
                shapes_by_ends.setdefault(ends, []).append(shape)
        for ends, shapes in shapes_by_ends.items():
            # All of these tokens end the pre-token that begins at the last of `ends`.
            wanted = np.zeros(len(self._representatives), dtype=np.bool_)
            wanted[shapes] = True
            places = np.flatnonzero(simple & wanted[shape_of])
            text = left.decode()
            before = text[: ends[-1]].encode() if ends else b""
            settled = self._merge_cut(text, ends, len(before))
            if head[: len(settled)] != settled:
                continue
            joined, open_head = left[len(before) :], head[len(settled) :]
            if joined:
                end = self._end_of(joined, open_head)
                if end is not None:
                    result[places] |= self._vocabulary.merges_with(*end, tokens[places])
            elif not open_head:
                result[places] = True
        return result

    def _end_of(self, joined: bytes, head: TokenIds) -> tuple[bytes, TokenIds] | None:
        """As much of the end of `joined`, encoded as `head`, as decides what may follow it.

        Merges never cross a place where tokens meet, so that the last tokens merge alike without
        those before them; more bytes than any token has are more than a look-up of whole words
        finds. None where `head` is not what `joined` merges to.
        """
        if len(joined) <= self._longest_token:
            return joined, head
        if self._vocabulary.merge(joined) != head:
            return None
        first, length = len(head), 0
        while length <= self._longest_token:
            first -= 1
            length += len(self._vocabulary.token_bytes(head[first]))
        return joined[-length:], head[first:]

    def _find_junctions(
        self, left: bytes, kinds: tuple[str, ...], shape: int
    ) -> tuple[tuple[int, ...], ...]:
        """Readings of `left` and a token of this shape that leave the token whole.

        Texts whose characters are of the same `kinds` are split alike.
        """
        found = self._junctions.get((kinds, shape))
        if found is None:
            before = left.decode()
            token = self._vocabulary.token_bytes(self._representatives[shape]).decode()
            found = tuple(
                ends
                for ends in self._find_readings(before + token)
                if not ends or ends[-1] <= len(before)
            )
            if len(self._junctions) >= _KNOWN_JUNCTIONS:
                self._junctions.clear()
            self._junctions[kinds, shape] = found
        return found

    @cached_property
    def _is_whole(self) -> NDArray[np.bool_]:
        """Which tokens are whole characters; shape (vocabulary size,)."""
        vocabulary = self._vocabulary
        texts = [vocabulary.token_bytes(i) for i in range(len(vocabulary))]
        return np.array([bool(text) and is_whole(text) for text in texts], dtype=np.bool_)

    @cached_property
    def _shape_table(self) -> tuple[NDArray[np.int64], list[int]]:
        vocabulary = self._vocabulary
        shapes: dict[tuple[str, ...], int] = {}
        shape_of = np.zeros(len(vocabulary), dtype=np.int64)
        representatives = []
        for token in np.flatnonzero(self._is_whole).tolist():
            shape = self._rules.shape(vocabulary.token_bytes(token).decode())
            if shape not in shapes:
                shapes[shape] = len(shapes)
                representatives.append(token)
            shape_of[token] = shapes[shape]
        return shape_of, representatives

    @property
    def _shapes(self) -> NDArray[np.int64]:
        return self._shape_table[0]

    @property
    def _representatives(self) -> list[int]:
        return self._shape_table[1]

    @cached_property
    def _is_single(self) -> NDArray[np.bool_]:
        """Which tokens their own bytes merge to; shape (vocabulary size,)."""
        vocabulary = self._vocabulary
        found = np.zeros(len(vocabulary), dtype=np.bool_)
        for token in np.flatnonzero(vocabulary.is_text).tolist():
            found[token] = vocabulary.merge(vocabulary.token_bytes(token)) == (token,)
        return found

    def _is_canonical(self, text: bytes, tokens: TokenIds) -> bool:
        """Whether `tokens` encode `text`, whose last character may be cut, in some reading.

        What a cut character will be is open: any completion will do.
        """
        whole = text.decode(errors="ignore")
        cut = text[len(whole.encode()) :]
        if whole.encode() + cut != text:
            return False
        return any(
            self._merge_cut(whole + completion, ends, len(text)) == tokens
            for completion in (_completions(cut) if cut else ("",))
            for ends in self._readings(whole + completion)
        )


def _combines(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


@lru_cache(maxsize=1024)
def _completions(cut: bytes) -> tuple[str, ...]:
    """One character per class among those whose UTF-8 starts with `cut`."""
    lead = cut[0]
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if not 0xC2 <= lead <= 0xF4 or len(cut) >= length:
        return ()  # no character begins like this
    mask = (0x1F, 0x0F, 0x07)[length - 2]
    first = lead & mask
    for byte in cut[1:]:
        first = first << 6 | byte & 0x3F
    open_bits = 6 * (length - len(cut))
    found: dict[str, str] = {}
    for code in range(first << open_bits, min((first + 1) << open_bits, 0x110000)):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cs" or not character.encode().startswith(cut):
            continue
        found.setdefault(" " if character.isspace() else category[0], character)
    return tuple(found.values())
