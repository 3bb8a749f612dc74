"""Tokens as bytes, for the kinds of tokenizers that there are."""

import json
import unicodedata
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from likely.text.vocabulary import Vocabulary, VocabularyError, show
from unit.tiny import STYLES, OtherTokenizer, Style, definition, texts, vocabulary

GPT2_ALL, GPT2_PREFIX_SPACE, QWEN_NFC = STYLES[0], STYLES[1], STYLES[7]
styles = st.sampled_from(STYLES)


def changed(change: Callable[[Tokenizer], object], style: Style = GPT2_ALL) -> Vocabulary:
    tokenizer = Tokenizer.from_str(definition(style))
    change(tokenizer)
    return Vocabulary(tokenizer.to_str())


@settings(max_examples=200, deadline=None)
@given(styles, texts)
def test_tokens_spell_the_text(style: Style, text: str) -> None:
    tokens = vocabulary(style).encode(text.encode())
    if style.normalizes:
        text = unicodedata.normalize("NFC", text)
    assert vocabulary(style).decode(tokens) == text.encode()
    assert not vocabulary(style).special.intersection(tokens)


def test_every_token_has_the_bytes_of_its_name() -> None:
    for style in STYLES:
        expected = OtherTokenizer(style).bytes_of
        made = vocabulary(style)
        assert {i: made.token_bytes(i) for i in range(len(made)) if made.is_text[i]} == expected


def test_special_tokens_are_not_text() -> None:
    made = vocabulary(GPT2_ALL)
    (special,) = made.special
    assert made.special_name(special) == "<|endoftext|>"
    assert made.token_bytes(special) == b""
    assert not made.is_text[special]
    assert made.spelled(b"") is None
    typed = made.encode(b"a<|endoftext|>b")
    assert special not in typed
    assert made.decode(typed) == b"a<|endoftext|>b"
    assert made.id_of("<|endoftext|>") == special
    assert made.id_of("no such token") is None


@pytest.mark.parametrize("name", ["<tool_call>", "</tool_call>", "<|fim_prefix|>"])
def test_markers_are_not_text_even_where_they_are_not_called_special(name: str) -> None:
    made = changed(lambda tokenizer: tokenizer.add_tokens([name]))
    assert made.exact
    marker = made.id_of(name)
    assert marker in made.special
    tokens = made.encode(f"a {name} b".encode())
    assert marker not in tokens
    assert made.decode(tokens) == f"a {name} b".encode()


def test_added_text_is_text_and_leaves_boundaries_unknown() -> None:
    spaces = AddedToken("        ", normalized=False)
    made = changed(lambda tokenizer: tokenizer.add_tokens([spaces]))
    token = made.id_of("        ")
    assert token is not None
    assert made.token_bytes(token) == b"        "
    assert token in made.encode(b"if x:\n        y")
    assert made.byte_level
    assert not made.exact


def test_a_model_may_have_more_logits_than_its_tokenizer_has_tokens() -> None:
    made = Vocabulary(definition(GPT2_ALL), size=500)
    assert len(vocabulary(GPT2_ALL)) == 477
    assert len(made) == 500
    assert made.token_bytes(499) == b""
    assert made.special_name(499) == "<unused 499>"
    assert made.is_text.sum() == 476


def test_broken_text_becomes_replacement_characters() -> None:
    made = vocabulary(GPT2_ALL)
    assert made.decode(made.encode(b"a\xffb")) == "a\ufffdb".encode()


def test_no_space_is_put_before_the_text() -> None:
    made = vocabulary(GPT2_PREFIX_SPACE)
    assert made.adds_prefix_space
    assert made.decode(made.encode(b"The day")) == b"The day"
    assert not vocabulary(GPT2_ALL).adds_prefix_space


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("cafe\u0301 a", ["cafe\u0301", " a"]),
        ("e\u0301e\u0301", ["e\u0301", "e\u0301"]),
        ("\u212b plan", ["\u212b", " plan"]),
        ("caf\u00e9 a", ["caf\u00e9", " a"]),
    ],
)
def test_where_the_tokenizer_composes_ids_are_its_own_and_offsets_the_texts(
    text: str, spelled: list[str]
) -> None:
    made = vocabulary(QWEN_NFC)
    assert json.loads(definition(QWEN_NFC))["normalizer"] == {"type": "NFC"}
    assert made.exact
    assert made.composes
    tokens, ends = made.spans(text.encode())
    composed = unicodedata.normalize("NFC", text)
    assert tokens == made.encode(text.encode()) == OtherTokenizer(QWEN_NFC).encode(composed)
    data = text.encode()
    places = set(accumulate(len(piece.encode()) for piece in spelled))
    assert places <= set(ends)
    assert ends == sorted(ends)
    assert ends[-1] == len(data)


@pytest.mark.parametrize(
    ("processor", "begins"),
    [
        (None, []),
        (processors.ByteLevel(), []),
        (processors.TemplateProcessing("$A <|endoftext|>", "$A $B", [("<|endoftext|>", 0)]), []),
        (processors.TemplateProcessing("<|endoftext|> $A", "$A $B", [("<|endoftext|>", 0)]), [0]),
    ],
)
def test_what_the_tokenizer_itself_puts_before_a_text(processor: Any, begins: list[int]) -> None:
    def change(tokenizer: Tokenizer) -> None:
        if processor is not None:
            tokenizer.post_processor = processor

    made = changed(change)
    special = [made.id_of("<|endoftext|>")] * len(begins)
    assert list(made.begins) == special
    assert made.decode(made.encode(b"The plan")) == b"The plan"


def test_lower_casing_is_more_than_bytes() -> None:
    made = changed(lambda tokenizer: setattr(tokenizer, "normalizer", normalizers.Lowercase()))
    assert not made.byte_level
    assert not made.exact


def test_unknown_patterns_are_byte_level_but_not_exact() -> None:
    parts = [
        pre_tokenizers.Split("-", "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    sequence = pre_tokenizers.Sequence(parts)
    made = changed(lambda tokenizer: setattr(tokenizer, "pre_tokenizer", sequence))
    assert made.byte_level
    assert not made.exact


def test_sentencepiece_tokens_have_bytes() -> None:
    names = {"<unk>": 0, "▁": 1, "t": 2, "▁t": 3, "<0x0A>": 4, "<0xE4>": 5, "é": 6}
    tokenizer = Tokenizer(models.BPE(names, [("▁", "t")], byte_fallback=True, unk_token="<unk>"))
    tokenizer.add_special_tokens(["<unk>"])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    made = Vocabulary(tokenizer.to_str())
    assert made.has_bytes
    assert not made.byte_level
    assert not made.exact
    assert [made.token_bytes(i) for i in range(7)] == [
        *(b"", b" ", b"t", b" t", b"\n", b"\xe4", "é".encode()),
    ]


def test_word_pieces_have_no_bytes() -> None:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "play": 1, "##ing": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    assert not Vocabulary(tokenizer.to_str()).has_bytes


_SOME_BYTES = [*b" aetn'\n0.", *"é中😀".encode(), 0, 0xFE, 0xFF]


@settings(max_examples=200, deadline=None)
@given(styles, st.lists(st.sampled_from(_SOME_BYTES), max_size=4).map(bytes))
def test_prefix_search_finds_all(style: Style, prefix: bytes) -> None:
    made = vocabulary(style)
    spelled = [made.token_bytes(i) for i in range(len(made))]
    found = made.starting_with(prefix).tolist()
    assert sorted(found) == [
        i for i, data in enumerate(spelled) if data and data.startswith(prefix)
    ]
    assert [spelled[i] for i in found] == sorted(spelled[i] for i in found)
    assert made.spelled(prefix) == next(
        (i for i, data in enumerate(spelled) if data and data == prefix), None
    )


@settings(max_examples=200, deadline=None)
@given(styles, texts, st.data())
def test_a_pre_token_merges_wherever_it_is_cut(
    style: Style, text: str, data: st.DataObject
) -> None:
    made, other = vocabulary(style), OtherTokenizer(style)
    pre_token = data.draw(st.sampled_from(other.pre_tokens(text))).encode()
    cut = pre_token[: data.draw(st.integers(0, len(pre_token)))]
    assert made.merge(cut) == other.merge(cut)
    tokens = np.array(data.draw(st.lists(st.sampled_from(sorted(other.bytes_of)), max_size=20)))
    head = made.merge(cut)
    assert made.merges_with(cut, head, tokens.astype(np.int64)) == [
        other.merge(cut + other.bytes_of[token]) == (*head, token) for token in tokens.tolist()
    ]


@settings(max_examples=200, deadline=None)
@given(styles, texts)
def test_pre_tokens_end_where_they_end(style: Style, text: str) -> None:
    ends, total = [], 0
    for pre_token in OtherTokenizer(style).pre_tokens(text):
        total += len(pre_token)
        ends.append(total)
    rules = vocabulary(style).pre_tokenizer
    assert rules is not None
    assert rules.ends(text) == ends


@pytest.mark.parametrize("content", ["", "{}", '{"model": {"type": "BPE"}}', "[1"])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(VocabularyError, match=r"tokenizer\.json .*fetch the model again"):
        Vocabulary.from_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"tokenizer\.json"):
        Vocabulary.from_file(tmp_path / "tokenizer.json")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(definition(GPT2_ALL), encoding="utf-8")
    made: Any = Vocabulary.from_file(path, size=480)
    assert len(made) == 480


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b" go", "·go"),
        (b"a\n\tb\r\n", "a⏎⇥b␍⏎"),
        ("\u00a0\u3000".encode(), "⍽□"),
        ("é漢字".encode(), "é漢字"),
        ("👩‍💻".encode(), "👩‍💻"),
        (b"\xe5\xa4", "<E5 A4>"),
        ("中".encode() + b"\xe5\xa4", "中<E5 A4>"),
        (b"\xa4\xa4a\xe5 b", "<A4 A4>a<E5>·b"),
        ("\ufffd".encode(), "\ufffd"),
        ("l·l⏎".encode(), "l⟨B7⟩l⟨23CE⟩"),
        (b"\x00\x7f", "⟨0⟩⟨7F⟩"),
        ("\u202e\ufeff".encode(), "⟨202E⟩⟨FEFF⟩"),
        (b"", ""),
    ],
)
def test_white_space_and_controls_are_shown(data: bytes, shown: str) -> None:
    assert show(data) == shown


def test_bytes_that_differ_look_different() -> None:
    pairs = [bytes([first, second]) for first in range(256) for second in range(256)]
    characters = [chr(point).encode() for point in range(0x3100)]
    every = {*pairs, *characters, *(bytes([byte]) for byte in range(256))}
    assert len({show(data) for data in every}) == len(every)
