"""Where the stable part of a text ends; canonical encodings; covers.

A token sequence is canonical when it is what the tokenizer makes of its bytes. Everything here
holds for byte-level BPE behind a known pre-tokenizer (`Vocabulary.exact`); it is verified
against the tokenizer itself by property tests. Sources: Vieira et al. 2024 (arXiv 2412.03719)
and Phan et al. 2024 (arXiv 2410.09303) for covers, Hayase et al. 2025 (arXiv 2506.14123) for
the restriction to canonical encodings and for deciding it by neighbouring pairs of tokens.
"""

import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from likely.text.vocabulary import Ids, TokenIds, Vocabulary

MAX_FRAGMENT = 96
"""Bytes; a longer fragment (a line of dashes, an endless word) is not worked out exactly."""

_KNOWN_BASES = 16
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

    `head` is h_i, the canonical encoding of the fragment's first i bytes; `tokens` is A_i, the
    ids that canonically continue it past the fragment's end; `overhang` = len(fragment) - i is
    the number of bytes of each token that are typed already.
    """

    head: TokenIds
    tokens: Ids
    overhang: int


class Fragments:
    """Segmentation and covers for one vocabulary; memoizes, so one thread at a time."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        if not vocabulary.exact:
            raise ValueError("covers need byte-level BPE behind a known pre-tokenizer")
        self._vocabulary = vocabulary
        self._bases: OrderedDict[bytes, tuple[TokenIds, int]] = OrderedDict()
        self.head = lru_cache(maxsize=4096)(self._head)
        self._continuing = lru_cache(maxsize=4096)(self._find_continuing)
        self._junction = lru_cache(maxsize=16384)(self._find_junction)

    def segment(self, text: bytes) -> Segments:
        """Split `text` (whole characters) where its tokens stop depending on what follows.

        Equals a computation from scratch; what was learnt from earlier calls only makes it
        cheap: a boundary with `_LOOK_AHEAD` pre-tokens behind it can never move.
        """
        for known, (tokens, length) in reversed(self._bases.items()):
            if text.startswith(known):
                segments = self._segment_from(text, tokens, length)
                if segments is not None:
                    self._bases.move_to_end(known)
                    return segments
        return self._segment_from(text, (), 0) or Segments((), 0, text)

    def _segment_from(self, text: bytes, tokens: TokenIds, start: int) -> Segments | None:
        tail = text[start:].decode()
        ends = self._vocabulary.pre_token_ends(tail)
        starts = [0, *ends[:-1]]
        pieces = [tail[a:b] for a, b in zip(starts, ends, strict=True)]
        last = _first_unstable(pieces)
        if last == 0 and start > 0:
            return None
        base_text = "".join(pieces[:last]).encode()
        base = tokens + (self._vocabulary.encode(base_text) if base_text else ())
        if last > _LOOK_AHEAD:
            settled = "".join(pieces[: last - _LOOK_AHEAD]).encode()
            ahead = "".join(pieces[last - _LOOK_AHEAD : last]).encode()
            kept = base[: len(base) - len(self._vocabulary.encode(ahead))]
            self._bases[text[: start + len(base_text)]] = (kept, start + len(settled))
            if len(self._bases) > _KNOWN_BASES:
                self._bases.popitem(last=False)
        length = start + len(base_text)
        return Segments(base, length, text[length:])

    def covers(self, fragment: bytes) -> list[Cover]:
        """The A_i that are not empty, for i from 0 on. `fragment`: whole characters, not empty."""
        found = []
        longest = max(0, len(fragment) - self._longest_token)
        for i in range(longest, len(fragment)):
            suffix = fragment[i:]
            if not len(self._vocabulary.starting_with(suffix)):
                continue
            head = self.head(fragment, i)
            tokens = self.continuing(fragment, i, head, suffix)
            if len(tokens):
                found.append(Cover(head, tokens, len(suffix)))
        return found

    @cached_property
    def _longest_token(self) -> int:
        return max(len(self._vocabulary.token_bytes(i)) for i in range(len(self._vocabulary)))

    def _head(self, fragment: bytes, i: int) -> TokenIds:
        """h_i: canonical tokens of the first i bytes of `fragment`.

        Inside a character its class is known from the whole, so the pre-token is cut there.
        """
        if _is_boundary(fragment, i):
            return self._vocabulary.encode(fragment[:i]) if i else ()
        whole = i
        while not _is_boundary(fragment, whole):
            whole += 1
        return self._encode_cut(fragment[:whole].decode(), i)

    def _encode_cut(self, text: str, length: int) -> TokenIds:
        """Tokens of the first `length` bytes of `text`, of whose last character some are cut."""
        ends = self._vocabulary.pre_token_ends(text)
        # Pieces that end with the cut character at one offset are one pre-token.
        boundary = max([end for end in ends if end < len(text)], default=0)
        before, after = text[:boundary].encode(), text[boundary:].encode()
        tokens = self._vocabulary.encode(before) if before else ()
        return tokens + self._vocabulary.merge(after[: length - len(before)])

    def continuing(self, fragment: bytes, i: int, head: TokenIds, suffix: bytes) -> Ids:
        """Ids t that start with `suffix` such that `head` + (t,) is canonical after `fragment[:i]`.

        With an empty suffix: every canonical neighbour.
        """
        left, left_length = self._left_context(fragment[:i])
        return self._continuing(left, head[-left_length:] if left_length else (), suffix)

    def _left_context(self, text: bytes) -> tuple[bytes, int]:
        """The last pre-tokens of `text` that can still join with what follows, and their tokens.

        One pre-token can join; the one before it is kept for contractions and white space.
        """
        if not text:
            return b"", 0
        whole = text.decode(errors="ignore")
        cut = text[len(whole.encode()) :]
        ends = self._vocabulary.pre_token_ends(whole)
        starts = sorted({0, *ends[:-1]})
        left = whole[starts[-2] if len(starts) > 1 else 0 :].encode() + cut
        if cut:
            return left, len(self._merge_cut(left)[0])
        return left, len(self._vocabulary.encode(left))

    def neighbours(self, fragment: bytes, head: TokenIds, tokens: Ids) -> NDArray[np.bool_]:
        """Which of `tokens` canonically follow the whole of `fragment`; shape (len(tokens),)."""
        left, left_length = self._left_context(fragment)
        return self._continue(left, head[-left_length:] if left_length else (), tokens)

    def _find_continuing(self, left: bytes, head: TokenIds, suffix: bytes) -> Ids:
        tokens = self._vocabulary.starting_with(suffix)
        return tokens[self._continue(left, head, tokens)]

    def _continue(self, left: bytes, head: TokenIds, tokens: Ids) -> NDArray[np.bool_]:
        """For each token t: is `head` + (t,) the canonical encoding of `left` + bytes(t)?"""
        vocabulary = self._vocabulary
        if not left:
            return self._alone[tokens]
        result = np.zeros(len(tokens), dtype=np.bool_)
        simple = self._is_whole[tokens] & self._alone[tokens] & _is_whole_text(left)
        shape_of = self._shapes[tokens]
        outcomes: dict[int, str] = {}
        joined: list[int] = []
        for shape in np.unique(shape_of[simple]):
            outcomes[int(shape)] = self._junction(left, int(shape))
        for place in np.flatnonzero(simple):
            outcome = outcomes[int(shape_of[place])]
            if outcome == "split":
                result[place] = True
            elif outcome == "join":
                joined.append(int(place))
        if joined:
            ends = self._vocabulary.pre_token_ends(left.decode())
            before = _distinct([0, *ends])[-2]
            pre_token = left.decode()[before:].encode()
            result[joined] = self._vocabulary.merges_with(pre_token, tokens[joined])
        for place in np.flatnonzero(~simple):
            token = int(tokens[place])
            result[place] = (*head, token) == self._canonical(
                left + vocabulary.token_bytes(token), token
            )
        return result

    def _find_junction(self, left: bytes, shape: int) -> str:
        """How the pre-tokenizer treats `left` followed by tokens of this shape.

        "join": the last pre-token of `left` grows; "split": a new pre-token begins exactly
        there; "apart": boundaries fall elsewhere, so that no canonical encoding has both.
        """
        before = left.decode()
        whole = before + self._vocabulary.token_bytes(self._representatives[shape]).decode()
        ends_before = _distinct(self._vocabulary.pre_token_ends(before))
        ends_whole = _distinct(self._vocabulary.pre_token_ends(whole))
        if ends_whole == [*ends_before, len(whole)]:
            return "split"
        if ends_whole == [*ends_before[:-1], len(whole)]:
            return "join"
        return "apart"

    @cached_property
    def _is_whole(self) -> NDArray[np.bool_]:
        """Which tokens are whole characters; shape (vocabulary size,)."""
        vocabulary = self._vocabulary
        texts = [vocabulary.token_bytes(i) for i in range(len(vocabulary))]
        return np.array([bool(text) and _is_whole_text(text) for text in texts], dtype=np.bool_)

    @cached_property
    def _shape_table(self) -> tuple[NDArray[np.int64], list[int]]:
        vocabulary = self._vocabulary
        shapes: dict[tuple[str, ...], int] = {}
        shape_of = np.zeros(len(vocabulary), dtype=np.int64)
        representatives = []
        for token in np.flatnonzero(self._is_whole).tolist():
            shape = _shape(vocabulary.token_bytes(token).decode())
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
    def _alone(self) -> NDArray[np.bool_]:
        """Which tokens are the canonical encoding of their own bytes; shape (vocabulary size,)."""
        vocabulary = self._vocabulary
        one_piece = [
            len(_distinct(vocabulary.pre_token_ends(vocabulary.token_bytes(i).decode()))) == 1
            for i in self._representatives
        ]
        found = np.zeros(len(vocabulary), dtype=np.bool_)
        for token in np.flatnonzero(vocabulary.is_text).tolist():
            data = vocabulary.token_bytes(token)
            if self._is_whole[token]:
                shape = int(self._shapes[token])
                found[token] = one_piece[shape] and vocabulary.merge(data) == (token,)
            else:
                found[token] = self._canonical(data, token) == (token,)
        return found

    def _canonical(self, text: bytes, token: int) -> TokenIds | None:
        """Tokens of `text`, whose last character may be cut; None where it is no text at all.

        What a cut character will be is open: any completion under which `token` comes last
        will do.
        """
        whole = text.decode(errors="ignore")
        cut = text[len(whole.encode()) :]
        if whole.encode() + cut != text or len(cut) > 3:
            return None
        if not cut:
            return self._vocabulary.encode(text)
        for tokens in self._merge_cut(text):
            if tokens and tokens[-1] == token:
                return tokens
        return None

    def _merge_cut(self, text: bytes) -> list[TokenIds]:
        """Encodings of `text`, cut inside its last character, one per class of completion."""
        whole = text.decode(errors="ignore")
        cut = text[len(whole.encode()) :]
        found = []
        for completion in _completions(cut):
            tokens = self._encode_cut(whole + completion, len(text))
            if tokens not in found:
                found.append(tokens)
        return found


def _first_unstable(pieces: list[str]) -> int:
    """The index of the first pre-token that typing on could change.

    The last pre-token can grow. A trailing run of white space gives its last character to the
    next word, or joins with the next line end, so it goes back whole. Contractions ('ll) are
    decided two letters after the apostrophe.
    """
    last = len(pieces) - 1
    while last > 0 and pieces[last].isspace() and pieces[last - 1].isspace():
        last -= 1
    if last > 0 and pieces[last - 1] == "'" and len(pieces[last]) == 1:
        last -= 1
    return max(last, 0)


def _distinct(ends: list[int]) -> list[int]:
    """Offsets without repetitions (a character of several bytes may repeat its offset)."""
    return list(dict.fromkeys(ends))


def _is_boundary(text: bytes, i: int) -> bool:
    """Whether a character starts or the text ends at byte `i`."""
    return i >= len(text) or (text[i] & 0xC0) != 0x80


def _is_whole_text(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shape(text: str) -> tuple[str, ...]:
    """What a pre-tokenizer can tell about `text`: classes of characters, long runs capped.

    White space, punctuation and the letters of contractions stand for themselves; other
    characters for their general category. Digits group by at most three, so runs of four say
    all that there is to say.
    """
    shape: list[str] = []
    for place, character in enumerate(text):
        literal = ord(character) < 0x80 and not character.isalnum()
        # U+017F is an s, U+212A a k to a pattern that ignores case.
        contraction = place < 3 and character in "sStTrReEvVmMlLdD\u017f"
        kind = (
            character
            if literal or contraction or character.isspace()
            else unicodedata.category(character)
        )
        if len(shape) < 4 or any(earlier != kind for earlier in shape[-4:]):
            shape.append(kind)
    return tuple(shape)


@lru_cache(maxsize=1024)
def _completions(cut: bytes) -> tuple[str, ...]:
    """One character per class among those whose UTF-8 starts with `cut`."""
    lead = cut[0]
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if len(cut) >= length:
        return ()  # it begins inside a character: a token across two of them
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
