"""The next-token table as a sequence, a dictionary, a data frame, HTML and text."""

import math
import re
import sys
from html import escape

import pytest

from likely.next_tokens import NextTokens
from likely.prediction.candidates import Candidate, Prediction
from likely.prediction.distribution import percent
from likely.terminal import plain_table


def candidate(insertion: bytes, probability: float, *ids: int) -> Candidate:
    return Candidate(insertion, ids, probability, math.log(probability))


def table(**changes: object) -> NextTokens:
    candidates = (
        candidate(b" go", 0.5, 467),
        candidate(b"\n", 0.25, 198),
        candidate(b"\xf0\x9f", 0.125, 12520),
        candidate(b"<b>", 0.00001, 1, 2),
    )
    made = {
        "candidates": candidates,
        "rest": 0.12499,
        "method": "raw",
        "context_tokens": 5,
        "entropy": 1.75,
        **changes,
    }
    mode = "raw" if made["method"] == "raw" else "exact"
    prediction = Prediction(**made)  # type: ignore[arg-type]
    return NextTokens(b"I plan to", "fake", mode, prediction)  # type: ignore[arg-type]


def test_it_is_a_sequence_of_candidates() -> None:
    made = table()
    assert len(made) == 4
    assert made[0].insertion == b" go"
    assert [c.probability for c in made[1:3]] == [0.25, 0.125]
    assert sum(c.probability for c in made) + made.rest == pytest.approx(1)
    assert [c.text for c in made] == [" go", "\n", "\ufffd", "<b>"]


def test_the_dictionary_follows_the_contract_in_raw_mode() -> None:
    found = table().to_dict()
    assert list(found) == [
        "model",
        "mode",
        "text",
        "context_tokens",
        "before_text",
        "candidates",
        "rest",
    ]
    assert found["text"] == "I plan to"
    assert found["candidates"][0] == {
        "rank": 1,
        "ids": [467],
        "text": " go",
        "bytes": "20676f",
        "probability": 0.5,
        "logprob": math.log(0.5),
    }
    assert found["candidates"][2]["text"] == "\ufffd"
    assert found["candidates"][2]["bytes"] == "f09f"


def test_the_dictionary_follows_the_contract_in_exact_mode() -> None:
    found = table(method="healed", fragment=b" sp", fragment_probability=0.01).to_dict()
    assert found["mode"] == "exact"
    assert found["method"] == "healed"
    assert found["fragment"] == " sp"
    assert found["fragment_probability"] == 0.01


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("<|endoftext|>", "5 tokens of context · <|endoftext|> before the text"),
        ("a space", "5 tokens of context · a space before the text"),
        ("", "5 tokens of context · nothing before the text"),
        (None, "5 tokens of context · entropy"),
    ],
)
def test_what_stands_before_the_text_is_told_everywhere(before: str | None, says: str) -> None:
    made = table(before_text=before)
    assert made.to_dict()["before_text"] == before
    assert says in str(made)
    assert escape(says) in made._repr_html_()


def test_it_becomes_a_data_frame() -> None:
    frame = table().to_pandas()
    assert list(frame.index) == [1, 2, 3, 4]
    assert list(frame["token"])[:2] == [" go", "\n"]
    assert frame["surprisal"][1] == pytest.approx(1.0)
    assert table(candidates=(), rest=1.0).to_pandas().empty


def test_as_text_its_columns_are_aligned_and_its_bars_in_proportion() -> None:
    lines = str(table()).splitlines()
    assert repr(table()) == str(table())
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[0].split() == ["#", "token", "id", "probability"]
    ends = {re.search(r"%", line).end() for line in lines[1:6]}  # type: ignore[union-attr]
    assert len(ends) == 1
    assert "·go" in lines[1]
    assert "⏎" in lines[2]
    bars = [line.count("█") for line in lines[1:4]]
    assert bars[0] == 2 * bars[1] == 4 * bars[2]
    assert lines[4].endswith("<0.01%  ▏")
    assert lines[5].split() == ["rest", "12.50%"]
    assert lines[6] == (
        "fake · raw · 5 tokens of context · nothing before the text · entropy 1.75 bits"
    )
    assert max(map(len, lines)) <= 80


def test_as_text_wide_characters_and_long_tokens_keep_the_columns() -> None:
    wide = table(candidates=(candidate("日本".encode(), 0.5, 1), candidate(b"x" * 128, 0.1, 2)))
    lines = str(wide).splitlines()
    assert "…" in lines[2]
    assert max(map(len, lines)) <= 80


def test_an_empty_table_still_shows_the_rest() -> None:
    lines = str(table(candidates=(), rest=1.0)).splitlines()
    assert lines[1].split() == ["rest", "100.00%"]


def test_as_html_tokens_are_escaped() -> None:
    html = table()._repr_html_()
    assert "<code>&lt;b&gt;</code>" in html
    assert "50.00%" in html
    assert html.count("<tr>") == 1 + 4 + 1


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.059828, "5.98%"), (1.0, "100.00%"), (0.0, "0.00%"), (1e-9, "<0.01%"), (6e-5, "0.01%")],
)
def test_percentages(probability: float, shown: str) -> None:
    assert percent(probability) == shown


def test_a_whole_vocabulary_is_laid_out_with_a_few_calls_a_row() -> None:
    many = [candidate(b" token", 0.5 / 2000, n) for n in range(2000)]
    made = table(candidates=tuple(many)).table()
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        text = plain_table(made)
    finally:
        sys.setprofile(None)
    assert text.count("\n") == 2000 + 2
    assert calls < 50 * 2000
