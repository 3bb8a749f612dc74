"""Tokens as bytes: id <-> bytes, prefix search, and how a token is shown."""

import itertools
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, processors

from likely.text.escaping import visible
from likely.text.pretokenizers import members, recognized

TokenIds = tuple[int, ...]
Ids = NDArray[np.int64]

_VISIBLE = {" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽", "\u3000": "□"}
_STAND_INS = frozenset("".join(_VISIBLE.values()))
# Bytes that are no UTF-8, as Python's "surrogateescape" decodes them.
_BROKEN = re.compile("[\udc80-\udcff]+")


class VocabularyError(ValueError):
    """A tokenizer file that cannot be used; the message says which and what to do."""


def _byte_alphabet() -> dict[str, int]:
    """Map GPT-2's printable stand-ins to bytes.

    Source: Radford et al. 2019, `bytes_to_unicode` of the GPT-2 release: printable Latin-1
    bytes stand for themselves, the others follow from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(0x100 + n): byte for n, byte in enumerate(others)})
    return alphabet


_BYTE_OF = _byte_alphabet()
_CHARACTER_OF = {byte: character for character, byte in _BYTE_OF.items()}


def _mapped(data: bytes) -> str:
    return "".join([_CHARACTER_OF[byte] for byte in data])


class Vocabulary:
    """A tokenizer whose tokens are bytes.

    Tokens may be half a character. Special tokens have no bytes: their text in a document is
    ordinary text. `byte_level` says that the tokens' bytes concatenate to exactly the text
    (byte-level BPE); `pre_tokenizer` is the one before it where its boundaries are known, so that
    `fragments.py` can reason about them, else None; `has_bytes` is False where no bytes can be
    told at all.
    `composes`: text is put into Unicode's form NFC first (Qwen), so that the bytes are those of
    the composed text. `begins`: the tokens that the tokenizer itself puts before every text.
    """

    def __init__(self, definition: str, *, size: int | None = None) -> None:
        """Read a `tokenizer.json` text; `size` is the model's number of logits where larger."""
        description: dict[str, Any] = json.loads(definition)
        self.byte_level = _is_byte_level(description)
        self.adds_prefix_space = _adds_prefix_space(description)
        added = {int(token["id"]): token for token in description["added_tokens"]}
        markers = [t for t in added.values() if not t["special"] and _is_marker(t["content"])]
        self.composes = self.byte_level and description["normalizer"] is not None
        if self.byte_level and (self.adds_prefix_space or markers):
            # A space before a document is `documentStart`'s matter.
            for member in members(description["pre_tokenizer"]):
                if member["type"] == "ByteLevel":
                    member["add_prefix_space"] = False
            # Qwen's <tool_call> and the like are no text either, special by name or not.
            for token in markers:
                token["special"] = True
            definition = json.dumps(description)
        tokenizer = Tokenizer.from_str(definition)
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.begins = _begins(tokenizer)
        # Others trim the offsets of tokens.
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        self._tokenizer = tokenizer
        self._model = tokenizer.model
        self.special = frozenset(i for i, token in added.items() if token["special"])
        # Added text (Pythia's runs of spaces) is found before any pre-token is.
        self.pre_tokenizer = (
            recognized(description["pre_tokenizer"], tokenizer.pre_tokenizer)
            if self.byte_level and len(self.special) == len(added)
            else None
        )
        self._names: dict[int, str] = {i: t for t, i in tokenizer.get_vocab(True).items()}
        count = max(max(self._names, default=-1) + 1, size or 0)
        to_bytes = _bytes_of_byte_level if self.byte_level else _bytes_of_sentencepiece
        self.has_bytes = self.byte_level or _is_sentencepiece(description)
        self._bytes: list[bytes] = [b""] * count
        for i, name in self._names.items():
            if i not in self.special:
                self._bytes[i] = name.encode() if i in added else to_bytes(name)

    @property
    def exact(self) -> bool:
        """Whether covers and canonical encodings can be told."""
        return self.pre_tokenizer is not None

    @classmethod
    def from_file(cls, path: Path, *, size: int | None = None) -> Self:
        """Read a `tokenizer.json`; raises VocabularyError where it cannot be read."""
        try:
            return cls(path.read_text(encoding="utf-8"), size=size)
        except Exception as error:  # the tokenizer library raises bare Exception
            raise VocabularyError(
                f"{path} is no usable tokenizer ({error}); fetch the model again"
            ) from error

    def __len__(self) -> int:
        """The number of ids, special ones included."""
        return len(self._bytes)

    def encode(self, text: bytes) -> TokenIds:
        """Tokenize; special tokens in `text` are text, bytes that are no UTF-8 become U+FFFD."""
        encoding = self._tokenizer.encode(text.decode(errors="replace"), add_special_tokens=False)
        return tuple(encoding.ids)

    def spans(self, text: bytes) -> tuple[TokenIds, list[int]]:
        """The tokens of `text`, and the offsets in it at which they end."""
        if self.composes and self.normalized(text) != text:
            return self._spans_of_composed(text.decode(errors="replace"))
        tokens = self.encode(text)
        return tokens, list(itertools.accumulate(len(self._bytes[token]) for token in tokens))

    def _spans_of_composed(self, text: str) -> tuple[TokenIds, list[int]]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        offset_of = [0, *itertools.accumulate(len(character.encode()) for character in text)]
        # A token ends where the next one begins: of tokens that share a character, the last has it.
        starts = [*(start for start, _ in encoding.offsets[1:]), len(text)]
        return tuple(encoding.ids), [offset_of[end] for end in itertools.accumulate(starts, max)]

    def normalized(self, text: bytes) -> bytes:
        """`text` as its tokens spell it (byte-level BPE only): composed where `composes`."""
        if not self.composes or text.isascii():
            return text
        return str(self._tokenizer.normalizer.normalize_str(text.decode(errors="replace"))).encode()

    def merge(self, pre_token: bytes) -> TokenIds:
        """Tokenize one pre-token as it stands (byte-level BPE only); it may be cut anywhere."""
        return tuple([token.id for token in self._model.tokenize(_mapped(pre_token))])

    def merges_with(self, joined: bytes, head: TokenIds, tokens: Ids) -> list[bool]:
        """For each t: do `joined` and t, in one pre-token, merge to `head` and then t?"""
        mapped = _mapped(joined)
        tokenize, mapped_tokens = self._model.tokenize, self._mapped_tokens
        found = []
        for token in tokens.tolist():
            *before, last = tokenize(mapped + mapped_tokens[token])
            found.append(last.id == token and tuple([piece.id for piece in before]) == head)
        return found

    @cached_property
    def _mapped_tokens(self) -> list[str]:
        return [_mapped(data) for data in self._bytes]

    def decode(self, ids: Iterable[int]) -> bytes:
        """Concatenate the tokens' bytes."""
        return b"".join([self._bytes[i] for i in ids])

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token; empty for special tokens."""
        return self._bytes[token]

    def special_name(self, token: int) -> str:
        """The name of a special or unused id, such as `<|endoftext|>`."""
        return self._names.get(token, f"<unused {token}>")

    def id_of(self, name: str) -> int | None:
        """The id of a token by its name in the tokenizer file."""
        found = self._tokenizer.token_to_id(name)
        return None if found is None else int(found)

    @cached_property
    def is_text(self) -> NDArray[np.bool_]:
        """Which ids stand for bytes of text; shape (vocabulary size,)."""
        return np.array([len(data) > 0 for data in self._bytes], dtype=np.bool_)

    @cached_property
    def _sorted(self) -> tuple[Ids, list[bytes]]:
        ids = sorted(np.flatnonzero(self.is_text), key=lambda i: (self._bytes[i], i))
        return np.array(ids, dtype=np.int64), [self._bytes[i] for i in ids]

    def starting_with(self, prefix: bytes) -> Ids:
        """Ids of the tokens whose bytes start with `prefix`, in the order of their bytes."""
        ids, keys = self._sorted
        first = bisect_left(keys, prefix)
        last = bisect_left(keys, _successor(prefix), lo=first) if prefix.strip(b"\xff") else None
        return ids[first:last]

    def spelled(self, data: bytes) -> int | None:
        """The token whose bytes are `data`, None where there is none."""
        return self._ids.get(data)

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        ids, keys = self._sorted
        # The first one of those that are spelled alike.
        return dict(zip(reversed(keys), reversed(ids.tolist()), strict=True))


def _successor(prefix: bytes) -> bytes:
    """The first byte string after every string that starts with `prefix`."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1])


def _is_byte_level(description: Mapping[str, Any]) -> bool:
    model = description["model"]
    parts = members(description["pre_tokenizer"])
    normalizer = description["normalizer"]
    return (
        model.get("type") == "BPE"
        and not model.get("dropout")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and bool(parts)
        and parts[-1]["type"] == "ByteLevel"
        and (normalizer is None or normalizer["type"] == "NFC")
    )


def _adds_prefix_space(description: Mapping[str, Any]) -> bool:
    return any(
        member["type"] == "ByteLevel" and member["add_prefix_space"]
        for member in members(description["pre_tokenizer"])
    )


def _begins(tokenizer: Tokenizer) -> TokenIds:
    """The special tokens that the post-processor puts before a text."""
    encoding = tokenizer.encode("a")
    return tuple(
        token
        for token, _ in itertools.takewhile(
            lambda pair: pair[1], zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        )
    )


def _is_marker(text: str) -> bool:
    return text.startswith("<") and text.endswith(">")


def _is_sentencepiece(description: Mapping[str, Any]) -> bool:
    """Whether "▁" stands for a space: SentencePiece models, BPE or unigram."""
    decoder = json.dumps(description.get("decoder"), ensure_ascii=False)
    return "▁" in decoder or "Metaspace" in decoder


def _bytes_of_byte_level(name: str) -> bytes:
    try:
        return bytes([_BYTE_OF[character] for character in name])
    except KeyError:
        return name.encode()


def _bytes_of_sentencepiece(name: str) -> bytes:
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        return bytes([int(name[3:5], 16)])
    return name.replace("▁", " ").encode()


def is_whole(data: bytes) -> bool:
    """Whether `data` consists of whole characters."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def show(data: bytes) -> str:
    """`data` for the eye: white space and controls visible, half characters as `<E5 A4>`.

    What looks alike is alike: a sign that stands for something is shown by its code point.
    """
    text = data.decode(errors="surrogateescape")
    return _BROKEN.sub(_hexadecimal, "".join(map(_shown, text)))


def _shown(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    if character in _STAND_INS:
        return f"⟨{ord(character):X}⟩"
    return character if _BROKEN.match(character) else visible(character)


def _hexadecimal(broken: re.Match[str]) -> str:
    return f"<{broken[0].encode(errors='surrogateescape').hex(' ').upper()}>"
