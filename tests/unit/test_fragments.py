"""Segments, canonical encodings and covers, against another tokenizer and by definition."""

import unicodedata
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from likely.text.fragments import Fragments
from likely.text.vocabulary import TokenIds
from unit.tiny import STYLES, OtherTokenizer, Style, clippings, definition, texts, vocabulary

GPT2_ALL, GPT2_DIGITS = STYLES[0], STYLES[2]
styles = st.sampled_from(STYLES)
edits = st.tuples(st.integers(0, 30), texts | clippings)
short_texts = texts.filter(lambda text: len(text.encode()) <= 12)


@cache
def fragments(style: Style) -> Fragments:
    return Fragments(vocabulary(style))


@cache
def other(style: Style) -> OtherTokenizer:
    return OtherTokenizer(style)


def composed(style: Style, text: str) -> str:
    """`text` as fragments get it."""
    return unicodedata.normalize("NFC", text) if style.normalizes else text


@settings(max_examples=400, deadline=None)
@given(styles, texts)
def test_the_other_tokenizer_is_the_same_tokenizer(style: Style, text: str) -> None:
    assert vocabulary(style).encode(text.encode()) == other(style).encode(composed(style, text))


@settings(max_examples=400, deadline=None)
@given(styles, texts, texts)
@example(GPT2_ALL, "a\n\nb", "c")
@example(GPT2_ALL, "a'r", "e")
@example(GPT2_DIGITS, "a  ", "1")
def test_no_continuation_changes_the_base(style: Style, text: str, continuation: str) -> None:
    text = composed(style, text)
    segments = fragments(style).segment(text.encode())
    encoded = vocabulary(style).encode((text + continuation).encode())
    assert encoded[: len(segments.base)] == segments.base
    assert vocabulary(style).decode(segments.base) + segments.fragment == text.encode()
    assert segments.base_length == len(text.encode()) - len(segments.fragment)


@settings(max_examples=60, deadline=None)
@given(styles, st.lists(edits, min_size=2, max_size=8))
@example(GPT2_ALL, [(0, "th a b"), (2, "ey sp b")])
def test_earlier_texts_leave_no_trace(style: Style, changes: list[tuple[int, str]]) -> None:
    used, text = Fragments(vocabulary(style)), ""
    for kept, typed in changes:
        text = text[:kept] + typed
        for end in range(len(text) + 1):
            fresh = Fragments(vocabulary(style))
            given_text = composed(style, text[:end]).encode()
            segments = used.segment(given_text)
            assert segments == fresh.segment(given_text)
            if segments.fragment:
                found, expected = (f.covers(segments.fragment) for f in (used, fresh))
                assert [(c.head, c.tokens.tolist()) for c in found] == [
                    (c.head, c.tokens.tolist()) for c in expected
                ]


def test_the_oldest_of_many_texts_goes_on() -> None:
    """What is learnt from a text takes the place of what is known about the oldest one."""
    for count in range(1, 40):
        used = Fragments(vocabulary(GPT2_ALL))
        texts = [f"{number} a plan to visit the world" for number in range(count)]
        for text in [*texts, texts[0] + " and the creation of it"]:
            fresh = Fragments(vocabulary(GPT2_ALL))
            assert used.segment(text.encode()) == fresh.segment(text.encode())


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("I plan to sp", " sp"),
        ("I plan to ", " "),
        ("I plan", " plan"),
        ("I", "I"),
        ("", ""),
        ("one.\n\n", "\n\n"),
        ("one.\n\n  ", "\n\n  "),
        ("they'r", "'r"),
        ("they're", "'re"),
        ("they' r", " r"),
        ("a(b", "b"),
    ],
)
def test_a_fragment_is_what_typing_can_still_change(text: str, fragment: str) -> None:
    assert fragments(GPT2_ALL).segment(text.encode()).fragment == fragment.encode()


def covers_found(style: Style, fragment: bytes) -> list[TokenIds]:
    spelled = other(style).bytes_of
    found = []
    for cover in fragments(style).covers(fragment):
        assert cover.overhang == len(fragment) - sum(len(spelled[t]) for t in cover.head)
        found += [(*cover.head, token) for token in cover.tokens.tolist()]
    return found


@settings(max_examples=150, deadline=None)
@given(styles, short_texts)
@example(GPT2_ALL, "\n\n")
@example(GPT2_ALL, "'r")
@example(GPT2_ALL, "é")
@example(GPT2_ALL, "  ")
def test_covers_are_all_canonical_sequences_that_reach_the_end(style: Style, text: str) -> None:
    fragment = fragments(style).segment(text.encode()).fragment
    found = covers_found(style, fragment)
    assert len(found) == len(set(found))
    assert set(found) == set(other(style).minimal_covers(fragment))


@settings(max_examples=100, deadline=None)
@given(styles, short_texts)
def test_covers_of_any_text(style: Style, text: str) -> None:
    assert set(covers_found(style, text.encode())) == set(
        other(style).minimal_covers(text.encode())
    )


@settings(max_examples=60, deadline=None)
@given(styles, short_texts)
@example(GPT2_ALL, "\n\n")
@example(GPT2_ALL, "'r")
def test_heads_and_neighbours_at_the_end(style: Style, text: str) -> None:
    data = text.encode()
    heads = fragments(style).heads(data, len(data))
    assert heads[0] == other(style).encode(text)
    assert set(heads) == other(style).encodings(data)
    # Tokens of all kinds, without the many single bytes that are half a character.
    tokens = [
        token
        for token, spelled in other(style).bytes_of.items()
        if spelled[0] < 0x80 or len(spelled) > 1 or token % 8 == 0
    ]
    for head in heads:
        allowed = fragments(style).neighbours(data, head, np.array(tokens))
        expected = [other(style).is_canonical((*head, token)) for token in tokens]
        assert allowed.tolist() == expected


def test_a_vocabulary_without_known_boundaries_has_no_fragments() -> None:
    changed = definition(GPT2_ALL).replace('"use_regex":true', '"use_regex":false')
    assert changed != definition(GPT2_ALL)
    unknown = type(vocabulary(GPT2_ALL))(changed)
    assert unknown.byte_level
    assert not unknown.exact
    with pytest.raises(ValueError, match="byte-level"):
        Fragments(unknown)
