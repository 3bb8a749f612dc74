"""Scores of text that is already there."""

import math
import unicodedata
from itertools import accumulate, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from likely.prediction.distribution import score_token
from likely.prediction.options import DocumentStart
from likely.prediction.scoring import ScoredToken, TokenReading, read_token
from likely.prediction.textbook import token_candidates
from likely.prediction.window import TextBefore, reading_reach
from unit.tiny import CODE, PROSE, STYLES, WORLD, RandomEngine, Style, answer, texts, vocabulary

GPT2_ALL, PREFIX_SPACE = STYLES[0], STYLES[1]
ENGINE = RandomEngine(vocabulary(GPT2_ALL))


def read(
    text: str,
    place: int,
    *,
    engine: RandomEngine = ENGINE,
    document_start: DocumentStart = "bos",
    k: int = 5,
) -> TokenReading | None:
    """The reading of the character at `place` in `text`."""
    data, after = text[:place].encode(), text[place:].encode()
    start = max(0, len(data) - reading_reach(engine.model))
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    before = TextBefore(data[start:], start)
    return answer(engine, read_token(engine.model, before, after, k, document_start))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STYLES), texts)
@example(STYLES[4], "a 😀é b")
def test_every_character_has_the_tokens_that_make_it_up(style: Style, text: str) -> None:
    if style.normalizes:
        text = unicodedata.normalize("NFC", text)
    engine = RandomEngine(vocabulary(style))
    tokens = vocabulary(style).encode(text.encode())
    ends = list(accumulate(len(vocabulary(style).token_bytes(token)) for token in tokens))
    boundaries = {len(text[:place].encode()) for place in range(len(text) + 1)}
    whole = [0, *(number + 1 for number, end in enumerate(ends) if end in boundaries)]
    for place in range(len(text)):
        offset = len(text[:place].encode())
        first, last = next((a, b) for a, b in pairwise(whole) if ends[b - 1] > offset)
        rows = [engine.row(engine.separator + tokens[:index]) for index in range(first, last)]
        expected = token_candidates(vocabulary(style), rows[0], 5)
        scores = [score_token(row, token) for row, token in zip(rows, tokens[first:], strict=False)]
        data = [vocabulary(style).token_bytes(token) for token in tokens[first:last]]
        reading = read(text, place, engine=engine)
        assert reading is not None
        assert reading.rest == pytest.approx(1 - math.fsum(c.probability for c in expected))
        assert reading.surprisal == pytest.approx(math.fsum(s.surprisal for s in scores))
        assert reading == TokenReading(
            start=ends[first - 1] if first else 0,
            end=ends[last - 1],
            data=b"".join(data),
            score=scores[0],
            expected=expected,
            rest=reading.rest,
            context_tokens=first + 1,
            tokens=tuple(map(ScoredToken, data, scores)) if len(scores) > 1 else (),
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
    engine = RandomEngine(vocabulary(GPT2_ALL), separated=False)
    assert read("The end", 0, engine=engine) is None
    assert read("The end", 4, engine=engine) is not None


def test_a_prefix_space_is_no_part_of_the_document() -> None:
    engine = RandomEngine(vocabulary(PREFIX_SPACE))
    reading = read("the end", 0, engine=engine, document_start="auto")
    assert reading is not None
    assert reading.data.startswith(b" ")
    assert reading.start == 0
    assert reading.end == len(reading.data) - 1


@pytest.mark.parametrize("style", [GPT2_ALL, STYLES[2], STYLES[5]], ids=str)
@pytest.mark.parametrize(
    "document", [PROSE * 20, CODE * 20, WORLD * 40], ids=["prose", "code", "world"]
)
def test_far_into_a_document_a_token_follows_the_documents_own_tokens(
    style: Style, document: str
) -> None:
    engine = RandomEngine(vocabulary(style), max_tokens=128)
    data = document.encode()
    tokens, ends = vocabulary(style).spans(data)
    index_of = {end: number for number, end in enumerate([0, *ends])}
    for place in range(len(document) - 300, len(document), 3):
        offset = len(document[:place].encode())
        reading = read(document, place, engine=engine)
        assert reading is not None
        assert reading.start <= offset < reading.end
        assert data[reading.start : reading.end] == reading.data
        index = index_of[reading.start]
        assert (
            engine.asked[-1 - max(0, len(reading.tokens) - 1)]
            == (tokens[index - reading.context_tokens : index])
        )
        assert 56 <= reading.context_tokens <= 112


def test_the_figures_of_a_token_do_not_depend_on_where_in_it_one_points() -> None:
    engine = RandomEngine(vocabulary(GPT2_ALL), max_tokens=32)
    readings: dict[int, TokenReading] = {}
    for place in range(400, 900):
        reading = read(PROSE * 4, place, engine=engine)
        assert reading is not None
        assert readings.setdefault(reading.start, reading) == reading


def test_reading_on_uses_the_same_window_for_long() -> None:
    engine = RandomEngine(vocabulary(GPT2_ALL), max_tokens=512)
    document = PROSE * 20
    firsts = set()
    for place in range(len(document) - 1000, len(document), 7):
        assert read(document, place, engine=engine) is not None
        firsts.add(engine.asked[-1][:20])
    assert len(firsts) <= 6


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
