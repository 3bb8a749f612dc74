"""What the model sees of the text before a cursor."""

from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likely.prediction.context import (
    Context,
    DocumentStart,
    TextBefore,
    before_text,
    make_context,
    reach,
    stand_in,
    window_start,
)
from unit.tiny import CODE, PROSE, STYLES, WORLD, RandomModel, Style, clippings, texts, vocabulary

GPT2_ALL, PREFIX_SPACE, NO_MERGES = STYLES[0], STYLES[1], STYLES[4]
styles = st.sampled_from([GPT2_ALL, PREFIX_SPACE, NO_MERGES, STYLES[5], STYLES[8]])
documents = st.lists(
    st.builds(lambda text, times: text * times, texts | clippings, st.integers(1, 12)),
    min_size=5,
    max_size=40,
).map("".join)
ends = {"prose": PROSE * 12, "code": CODE * 12, "world": WORLD * 40, "one word": "x" * 2500}


def seen(text: str, bytes_kept: int | None = None) -> TextBefore:
    """The text before a cursor at the end of `text`, or at least its last bytes."""
    data = text.encode()
    start = 0 if bytes_kept is None else max(0, len(data) - bytes_kept)
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    return TextBefore(data[start:], start)


@settings(max_examples=100, deadline=None)
@given(styles, documents, st.sampled_from([16, 40, 100]), st.integers(0, 300))
def test_the_window_depends_on_nothing_out_of_reach(
    style: Style, document: str, context_tokens: int, more: int
) -> None:
    within = seen(document, reach(context_tokens) + more)
    for ahead in (False, True):
        starts = {
            window_start(vocabulary(style), text, context_tokens, ahead=ahead)
            for text in (seen(document), within)
        }
        assert len(starts) == 1


@settings(max_examples=100, deadline=None)
@given(styles, documents, st.sampled_from([16, 40, 100]), st.integers(1, 200))
def test_the_window_holds_whole_characters_and_no_more_than_it_may(
    style: Style, document: str, context_tokens: int, before_end: int
) -> None:
    model = RandomModel(vocabulary(style))
    text = document[: max(1, len(document) - before_end)]
    context = make_context(model, seen(text), context_tokens, "auto")
    assert text.encode().endswith(context.data[context.prefix_space :])
    context.data.decode()
    tokens = len(context.head) + len(vocabulary(style).encode(context.data))
    assert tokens <= context_tokens
    whole = len(vocabulary(style).encode(text.encode()))
    assert tokens >= min(whole, context_tokens // 4 - 4)


@settings(max_examples=20, deadline=None)
@given(styles, documents)
def test_a_short_text_is_seen_whole(style: Style, document: str) -> None:
    model = RandomModel(vocabulary(style))
    model.max_tokens = 10_000
    context = make_context(model, seen(document), 9_000, "none")
    assert context.data[context.prefix_space :] == document.encode()
    assert context.start + context.prefix_space == 0


def test_the_window_is_no_longer_than_the_model_can_take() -> None:
    model = RandomModel(vocabulary(GPT2_ALL))
    model.max_tokens = 40
    context = make_context(model, seen(PROSE * 3), 512, "none")
    assert 10 <= len(vocabulary(GPT2_ALL).encode(context.data)) <= 40


@pytest.mark.parametrize("kind", ends)
def test_the_window_stays_put_while_one_types(kind: str) -> None:
    text = ends[kind]
    typed = [text[:end] for end in range(len(text) - 2000, len(text))]
    starts = [window_start(vocabulary(GPT2_ALL), seen(part, reach(256)), 256) for part in typed]
    changes = [b for a, b in pairwise(starts) if a != b]
    assert starts == sorted(starts)
    # A window of 256 tokens holds some 500 bytes of this text, and gives up half of them.
    assert 1 <= len(changes) <= 16


@pytest.mark.parametrize("kind", ends)
def test_the_next_window_is_known_before_it_is_needed(kind: str) -> None:
    text = ends[kind]
    places = range(len(text) - 1500, len(text))
    starts = [window_start(vocabulary(GPT2_ALL), seen(text[:end]), 256) for end in places]
    ahead = [
        window_start(vocabulary(GPT2_ALL), seen(text[:end]), 256, ahead=True) for end in places
    ]
    changes = [place for place in range(1, len(starts)) if starts[place] != starts[place - 1]]
    assert len(changes) >= 2
    for place in changes:
        if place >= 32:
            assert starts[place] in ahead[place - 32 : place]


def test_a_window_begins_with_a_line_or_a_word() -> None:
    lines = "This weekend I plan\nto spend the day\n" * 60
    context = make_context(RandomModel(vocabulary(GPT2_ALL)), seen(lines), 100, "none")
    assert context.data.startswith((b"This", b"to"))
    words = " ".join(lines.split())
    context = make_context(RandomModel(vocabulary(GPT2_ALL)), seen(words), 100, "none")
    assert context.data.startswith(b" ")


SEPARATOR = tuple(vocabulary(GPT2_ALL).special)
Before = Literal["separator", "space", "nothing"]


@pytest.mark.parametrize(
    ("style", "document_start", "text", "before"),
    [
        (GPT2_ALL, "auto", "The", "separator"),
        (GPT2_ALL, "bos", "The", "separator"),
        (GPT2_ALL, "none", "The", "nothing"),
        (GPT2_ALL, "space", "The", "space"),
        (GPT2_ALL, "space", " The", "nothing"),
        (GPT2_ALL, "auto", "", "separator"),
        (GPT2_ALL, "none", "", "nothing"),
        (PREFIX_SPACE, "auto", "The", "space"),
        (PREFIX_SPACE, "none", "The", "space"),
        (PREFIX_SPACE, "space", "The", "space"),
        (PREFIX_SPACE, "bos", "The", "separator"),
    ],
)
def test_what_stands_before_a_document(
    style: Style, document_start: DocumentStart, text: str, before: Before
) -> None:
    context = make_context(RandomModel(vocabulary(style)), seen(text), 64, document_start)
    named = {"separator": "<|endoftext|>", "space": "a space", "nothing": ""}
    assert before_text(vocabulary(style), context) == named[before]
    assert context == Context(
        head=SEPARATOR if before == "separator" else (),
        data=(b" " if before == "space" else b"") + text.encode(),
        start=-1 if before == "space" else 0,
        prefix_space=before == "space",
    )


@pytest.mark.parametrize("document_start", ["auto", "bos", "space", "none"])
def test_nothing_stands_before_a_window_within_a_document(document_start: DocumentStart) -> None:
    context = make_context(RandomModel(vocabulary(GPT2_ALL)), seen(PROSE * 4), 64, document_start)
    assert context.start > 0
    assert context.head == ()
    assert not context.prefix_space
    assert before_text(vocabulary(GPT2_ALL), context) is None


def test_a_model_without_a_separator_has_none_put_before_it() -> None:
    model: Any = RandomModel(vocabulary(GPT2_ALL))
    model.separator = None
    context = make_context(model, seen("The"), 64, "bos")
    assert context.head == ()
    assert stand_in(model, context) == context


def test_the_separator_stands_in_where_nothing_is() -> None:
    model = RandomModel(vocabulary(GPT2_ALL))
    nothing = make_context(model, seen(""), 64, "none")
    assert stand_in(model, nothing) == Context(SEPARATOR, b"", 0, False)
    there = make_context(model, seen(""), 64, "bos")
    assert stand_in(model, there) == there
