"""Scores of text that is already there."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likely.prediction.context import DocumentStart, TextBefore, reach
from likely.prediction.cursor import token_candidates
from likely.prediction.distribution import score_token
from likely.prediction.scoring import TokenReading, read_token
from unit.tiny import PROSE, STYLES, WORLD, RandomModel, Style, texts, vocabulary

GPT2_ALL, PREFIX_SPACE = STYLES[0], STYLES[1]
MODEL = RandomModel(vocabulary(GPT2_ALL))


def read(
    text: str,
    place: int,
    *,
    model: RandomModel = MODEL,
    document_start: DocumentStart = "bos",
    context_tokens: int = 200,
    k: int = 5,
) -> TokenReading | None:
    """The reading of the character at `place` in `text`."""
    data, after = text[:place].encode(), text[place:].encode()
    start = max(0, len(data) - reach(context_tokens))
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    before = TextBefore(data[start:], start)
    return read_token(model, before, after, k, context_tokens, document_start)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STYLES), texts)
def test_every_character_has_the_token_that_covers_its_first_byte(style: Style, text: str) -> None:
    model = RandomModel(vocabulary(style))
    tokens = vocabulary(style).encode(text.encode())
    spans, end = [], 0
    for token in tokens:
        spans.append((end, end + len(vocabulary(style).token_bytes(token))))
        end = spans[-1][1]
    for place in range(len(text)):
        offset = len(text[:place].encode())
        index = next(i for i, (start, end) in enumerate(spans) if start <= offset < end)
        sequence = (model.separator, *tokens[:index])
        reading = read(text, place, model=model)
        row = model.row(sequence)
        expected = token_candidates(vocabulary(style), row, 5)
        assert reading is not None
        assert reading.rest == pytest.approx(1 - math.fsum(c.probability for c in expected))
        assert reading == TokenReading(
            start=spans[index][0],
            end=spans[index][1],
            data=vocabulary(style).token_bytes(tokens[index]),
            score=score_token(row, tokens[index]),
            expected=expected,
            rest=reading.rest,
            context_tokens=len(sequence),
            before_text="<|endoftext|>",
        )


def test_past_the_last_character_there_is_nothing_to_read() -> None:
    assert read("The end", len("The end")) is None
    assert read("", 0) is None


def test_the_first_token_follows_the_separator_and_it_says_so() -> None:
    reading = read("The end", 0, document_start="none")
    assert reading is not None
    assert reading.before_text == "<|endoftext|>"
    assert reading.context_tokens == 1
    second = read("The end", 5, document_start="none")
    assert second is not None
    assert second.before_text == ""
    assert second.start >= 3


def test_without_a_separator_the_first_token_has_nothing_before_it() -> None:
    model: Any = RandomModel(vocabulary(GPT2_ALL))
    model.separator = None
    assert read("The end", 0, model=model) is None
    assert read("The end", 4, model=model) is not None


def test_a_prefix_space_is_no_part_of_the_document() -> None:
    model = RandomModel(vocabulary(PREFIX_SPACE))
    reading = read("the end", 0, model=model, document_start="auto")
    assert reading is not None
    assert reading.data.startswith(b" ")
    assert reading.start == 0
    assert reading.end == len(reading.data) - 1


@pytest.mark.parametrize("document", [PROSE * 20, WORLD * 40], ids=["prose", "world"])
def test_far_into_a_document_offsets_are_the_documents(document: str) -> None:
    data = document.encode()
    for place in range(len(document) - 300, len(document)):
        reading = read(document, place, context_tokens=64)
        assert reading is not None
        offset = len(document[:place].encode())
        assert reading.start <= offset < reading.end
        assert data[reading.start : reading.end] == reading.data
        assert reading.context_tokens < 64


def test_text_far_beyond_the_token_is_not_looked_at() -> None:
    near = read(PROSE, 40)
    assert near == read(PROSE + "x" * 10_000, 40)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, len(PROSE) - 1), st.sampled_from([1, 3, 10]))
def test_what_was_expected_is_the_top_of_the_row(place: int, k: int) -> None:
    reading = read(PROSE, place, k=k)
    assert reading is not None
    assert len(reading.expected) == k
    best = reading.expected[0]
    assert (reading.score.rank == 1) == (best.ids == (reading.score.id,))
