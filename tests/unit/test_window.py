"""What the model sees of the text before a cursor."""

from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from likely.prediction.options import DocumentStart
from likely.prediction.window import (
    Context,
    TextBefore,
    before_text,
    make_context,
    stand_in,
    steady_context,
    steady_reach,
    whole_reach,
)
from unit.tiny import CODE, PROSE, STYLES, WORLD, RandomEngine, Style, clippings, texts, vocabulary

GPT2_ALL, PREFIX_SPACE, NO_MERGES = STYLES[0], STYLES[1], STYLES[4]
styles = st.sampled_from([GPT2_ALL, PREFIX_SPACE, NO_MERGES, STYLES[5], STYLES[8]])
exact_styles = st.sampled_from([GPT2_ALL, STYLES[2], STYLES[5], STYLES[8]])
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


def start_of(text: str, *, ahead: bool = False) -> int:
    """Where the window begins that a cursor at the end of `text` sees while one types."""
    model = RandomEngine(vocabulary(GPT2_ALL), max_tokens=2048).model
    before = seen(text, steady_reach(model, 256))
    return steady_context(model, before, 256, "none", ahead=ahead).start


@settings(max_examples=100, deadline=None)
@given(styles, documents, st.sampled_from([16, 40, 100]), st.integers(0, 300))
def test_the_window_depends_on_nothing_out_of_reach(
    style: Style, document: str, context_tokens: int, more: int
) -> None:
    model = RandomEngine(vocabulary(style), max_tokens=10_000).model
    within = seen(document, steady_reach(model, context_tokens) + more)
    for ahead in (False, True):
        contexts = {
            steady_context(model, text, context_tokens, "auto", ahead=ahead)
            for text in (seen(document), within)
        }
        assert len(contexts) == 1
    within = seen(document, whole_reach(model, context_tokens) + more)
    contexts = {
        make_context(model, text, context_tokens, "auto") for text in (seen(document), within)
    }
    assert len(contexts) == 1


@settings(max_examples=100, deadline=None)
@given(styles, documents, st.sampled_from([16, 40, 100]), st.integers(1, 200))
def test_a_steady_window_holds_what_it_should_and_half_as_much_again_at_most(
    style: Style, document: str, context_tokens: int, before_end: int
) -> None:
    model = RandomEngine(vocabulary(style)).model
    text = document[: max(1, len(document) - before_end)]
    context = steady_context(model, seen(text), context_tokens, "auto")
    assert text.encode().endswith(context.data[context.prefix_space :])
    tokens = len(context.head) + len(vocabulary(style).encode(context.data))
    assert tokens <= context_tokens * 3 // 2
    whole = vocabulary(style).encode(text.encode())
    assert tokens >= min(len(whole), context_tokens) - 4


@settings(max_examples=100, deadline=None)
@given(styles, documents, st.sampled_from([16, 40, 100]), st.integers(1, 200))
def test_what_is_asked_once_sees_as_many_of_the_documents_tokens_as_were_wanted(
    style: Style, document: str, context_tokens: int, before_end: int
) -> None:
    model = RandomEngine(vocabulary(style)).model
    text = document[: max(1, len(document) - before_end)]
    context = make_context(model, seen(text), context_tokens, "none")
    tokens = vocabulary(style).encode(context.data)
    whole = vocabulary(style).encode(b" " * context.prefix_space + text.encode())
    # Of a long character the last token alone is no beginning.
    assert min(len(whole), context_tokens) - 4 <= len(tokens) <= context_tokens
    assert whole[len(whole) - len(tokens) :] == tokens


@settings(max_examples=100, deadline=None)
@given(exact_styles, documents, st.integers(1, 200))
@example(STYLES[2], "class Plan:\n    def __init__(self):\n        self.days = 1\n" * 40, 20)
def test_a_steady_window_begins_where_a_token_of_the_document_does(
    style: Style, document: str, before_end: int
) -> None:
    model = RandomEngine(vocabulary(style)).model
    text = document[: max(1, len(document) - before_end)]
    context = steady_context(model, seen(text), 24, "none")
    tokens = vocabulary(style).encode(context.data)
    whole = vocabulary(style).encode(text.encode())
    assert whole[len(whole) - len(tokens) :] == tokens


@settings(max_examples=20, deadline=None)
@given(styles, documents)
def test_a_text_that_fits_is_seen_whole(style: Style, document: str) -> None:
    model = RandomEngine(vocabulary(style), max_tokens=10_000).model
    context = make_context(model, seen(document), None, "none")
    assert context.data[context.prefix_space :] == document.encode()
    assert context.start + context.prefix_space == 0


def test_no_window_is_longer_than_the_model_can_take() -> None:
    model = RandomEngine(vocabulary(GPT2_ALL), max_tokens=64).model
    for context in (
        make_context(model, seen(PROSE * 3), 512, "none"),
        make_context(model, seen(PROSE * 3), None, "none"),
        steady_context(model, seen(PROSE * 3), 512, "none"),
    ):
        assert 37 <= len(vocabulary(GPT2_ALL).encode(context.data)) <= 56


def test_the_separator_has_room_in_the_window() -> None:
    model = RandomEngine(vocabulary(GPT2_ALL)).model
    tokens = len(vocabulary(GPT2_ALL).encode(PROSE.encode()))
    for size, seen_whole in ((tokens + 1, True), (tokens, False)):
        context = make_context(model, seen(PROSE), size, "bos")
        assert (context.start == 0) == seen_whole
        assert len(context.head + vocabulary(GPT2_ALL).encode(context.data)) <= size


@pytest.mark.parametrize("kind", ends)
def test_the_window_stays_put_while_one_types(kind: str) -> None:
    text = ends[kind]
    starts = [start_of(text[:end]) for end in range(len(text) - 2000, len(text))]
    changes = [b for a, b in pairwise(starts) if a != b]
    assert starts == sorted(starts)
    # Of a window of 256 to 384 tokens a third of its bytes is given up, less what is typed next.
    assert 1 <= len(changes) <= 2000 // 64


@pytest.mark.parametrize("kind", ends)
def test_the_next_window_is_known_before_it_is_needed(kind: str) -> None:
    text = ends[kind]
    places = range(len(text) - 1500, len(text))
    starts = [start_of(text[:end]) for end in places]
    ahead = [start_of(text[:end], ahead=True) for end in places]
    changes = [place for place in range(1, len(starts)) if starts[place] != starts[place - 1]]
    assert len(changes) >= 2
    for place in changes:
        if place >= 32:
            assert starts[place] in ahead[place - 32 : place]


def test_a_window_begins_with_a_line_or_a_word() -> None:
    lines = "This weekend I plan\nto spend the day\n" * 60
    model = RandomEngine(vocabulary(GPT2_ALL)).model
    context = steady_context(model, seen(lines), 100, "none")
    assert context.data.startswith((b"This", b"to"))
    words = " ".join(lines.split())
    context = steady_context(model, seen(words), 100, "none")
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
    model = RandomEngine(vocabulary(style)).model
    context = make_context(model, seen(text), 64, document_start)
    named = {"separator": "<|endoftext|>", "space": "a space", "nothing": ""}
    assert before_text(model.vocabulary, context) == named[before]
    assert context == Context(
        head=SEPARATOR if before == "separator" else (),
        data=(b" " if before == "space" else b"") + text.encode(),
        start=-1 if before == "space" else 0,
        prefix_space=before == "space",
    )


@pytest.mark.parametrize("document_start", ["auto", "bos", "space", "none"])
def test_nothing_stands_before_a_window_within_a_document(document_start: DocumentStart) -> None:
    context = make_context(
        RandomEngine(vocabulary(GPT2_ALL)).model, seen(PROSE * 4), 64, document_start
    )
    assert context.start > 0
    assert context.head == ()
    assert not context.prefix_space
    assert before_text(vocabulary(GPT2_ALL), context) is None


def test_a_model_without_a_separator_has_none_put_before_it() -> None:
    model = RandomEngine(vocabulary(GPT2_ALL), separated=False).model
    context = make_context(model, seen("The"), 64, "bos")
    assert context.head == ()
    assert stand_in(model, context) == context


def test_the_separator_stands_in_where_nothing_is() -> None:
    model = RandomEngine(vocabulary(GPT2_ALL)).model
    nothing = make_context(model, seen(""), 64, "none")
    assert stand_in(model, nothing) == Context(SEPARATOR, b"", 0, False)
    there = make_context(model, seen(""), 64, "bos")
    assert stand_in(model, there) == there
