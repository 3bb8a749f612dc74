"""The exact distribution at the cursor, on the real default model."""

import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asking import log_probability, logs_after
from likely.engines.engine import Driver
from likely.engines.loading import load
from likely.prediction.candidates import Prediction
from likely.prediction.covering import Covered, cover_cursor, weigh_covers
from likely.prediction.cursor import predict_at_cursor
from likely.prediction.options import CursorOptions
from likely.prediction.window import TextBefore, make_context, reach

PROSE = (
    "The ferry had stopped running in the autumn, and nobody could say when, or whether, it would"
    " start again. Marta walked down to the landing every evening all the same. She'd lean on the"
    " rail, watch the far shore go dark, and count the windows as they lit up: eleven, twelve,"
    " sometimes thirteen.\n\nOn the first of December there were none.\n\nShe waited until it was"
    " too cold to stand still. Then she went home and wrote the number down, as she always did.\n"
)
CODE = '''"""Counting lit windows."""

from dataclasses import dataclass


@dataclass
class Evening:
    day: int
    windows: int = 0

    def is_dark(self) -> bool:
        return self.windows == 0


def darkest(evenings: list[Evening]) -> Evening:
    found = evenings[0]
    for evening in evenings[1:]:
        if evening.windows < found.windows:
            found = evening
    return found
'''
CONTEXT_TOKENS = 256


def text_before(text: str) -> TextBefore:
    data = text.encode()
    start = max(0, len(data) - reach(2 * CONTEXT_TOKENS))
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return TextBefore(data[start:], start)


def predict(driver: Driver, text: str, k: int = 10) -> Prediction:
    # The window of somebody who types stays put.
    options = CursorOptions(k=k, mode="exact", context_tokens=CONTEXT_TOKENS, steady=True)
    return driver.answer(predict_at_cursor(driver.model, text_before(text), options))


def cover(driver: Driver, text: str) -> Covered:
    context = make_context(driver.model, text_before(text), CONTEXT_TOKENS, "none")
    return cover_cursor(driver.model, context)


# Reference figures, worked out by brute force over the last two pre-tokens.


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        (
            "This weekend I plan to sp",
            {"end": 0.839, "eak": 0.062, "read": 0.024, "in": 0.011},
        ),
        ("This weekend I plan to ", {"visit": 0.0539, "celebrate": 0.0515, "have": 0.0492}),
        ("To be or not to b", {"e": 0.995}),
        (
            "The mitochondria is the power",
            {" source": 0.231, "houses": 0.161, "house": 0.159, " house": 0.107, " behind": 0.107},
        ),
        ("    for key, value in items", {":": 0.849, "_": 0.082}),
    ],
)
def test_reference_figures(text: str, figures: dict[str, float], driver: Driver) -> None:
    made = predict(driver, text, k=len(figures))
    assert made.method == "exact"
    assert {c.insertion.decode(): c.probability for c in made.candidates} == pytest.approx(
        figures, abs=6e-4
    )


def test_the_probability_of_what_is_typed(driver: Driver) -> None:
    made = predict(driver, "This weekend I plan to sp")
    assert made.fragment == b" sp"
    assert made.fragment_probability is not None
    row = logs_after(driver, driver.model.vocabulary.encode(b"This weekend I plan"))
    last_but_one = math.exp(row[driver.model.vocabulary.encode(b" to")[0]])
    assert made.fragment_probability * last_but_one == pytest.approx(0.0134, abs=6e-5)


# White space: the last of a run belongs to what follows, whatever that is.


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("def f(x):\n\tif x:\n\t\t", "return"),
        ("def mean(values):\n    total = 0\n    for value in values:\n        ", "total"),
        ("import os\n\n\ndef main():\n    return 0\n\n\nif __name__ == '__main__':\n   ", " main"),
    ],
)
def test_after_white_space_comes_what_would_come(text: str, first: str, driver: Driver) -> None:
    assert predict(driver, text).candidates[0].insertion.decode() == first


def test_a_new_paragraph_begins_with_a_word(driver: Driver) -> None:
    made = predict(driver, PROSE[: PROSE.index("On the first")])
    assert sum(c.probability for c in made.candidates if c.insertion.isalpha()) > 0.3


# Consistency.

CUTS = [
    *(PROSE[:end] for end in (30, 93, 151, 152, 290, 296, 297, 341)),
    *(CODE[:end] for end in (20, 29, 54, 66, 72, 111, 175, 300)),
    "Der Fluss trägt im Winter Ei",
    "今天天气很好,我们去",
    "She smiled 😀",
    "one\r\ntwo\r\n",
    "It's what they'r",
]


def share_of(driver: Driver, at: Covered, beginning: bytes) -> float:
    """The probability of all candidates that begin so, however many there are."""
    distribution = driver.answer(weigh_covers(at, negligible=0.0))
    shares = []
    for covered, weights in distribution.overhanging:
        typed = at.fragment[len(at.fragment) - covered.overhang :]
        reaching = driver.model.vocabulary.starting_with(typed + beginning)
        logs = weights[np.isin(covered.tokens, reaching)] - distribution.log_total
        shares += np.exp(logs).tolist()
    for boundary, log_weight in zip(at.boundaries, distribution.boundary_log_weights, strict=True):
        ids = driver.model.vocabulary.starting_with(beginning)
        allowed = ids[at.neighbours(boundary, at.fragment, ids)]
        row = logs_after(driver, at.prefix + boundary)
        shares += np.exp(log_weight + row[allowed].astype(np.float64)).tolist()
    return math.fsum(shares)


@pytest.mark.parametrize("text", CUTS)
def test_candidates_add_up_to_the_next_character(text: str, driver: Driver) -> None:
    at = cover(driver, text)
    log_total = driver.answer(weigh_covers(at, negligible=0.0)).log_total
    likely = {c.insertion.decode()[0] for c in predict(driver, text, k=20).candidates}
    for character in sorted(likely)[-4:]:
        if not character.isascii():
            continue  # its bytes may come one by one, as half a character at first
        then = cover(driver, text + character)
        assert then.prefix[: len(at.prefix)] == at.prefix
        ratio = math.exp(
            log_probability(driver, at.prefix, then.prefix[len(at.prefix) :])
            + driver.answer(weigh_covers(then, negligible=0.0)).log_total
            - log_total
        )
        assert share_of(driver, at, character.encode()) == pytest.approx(ratio, abs=1e-5)


@pytest.mark.parametrize("text", CUTS)
def test_candidates_and_rest_are_everything(text: str, driver: Driver) -> None:
    for k in (1, 10, 100):
        made = predict(driver, text, k=k)
        assert 1 <= len(made.candidates) <= k
        listed = math.fsum(candidate.probability for candidate in made.candidates)
        assert listed + made.rest == pytest.approx(1, abs=1e-5)
        assert listed < 1 + 1e-5
    at = cover(driver, text)
    assert math.fsum(share_of(driver, at, bytes([byte])) for byte in range(0x80)) < 1 + 1e-5


@pytest.mark.parametrize("text", CUTS[::2])
def test_a_candidate_stays_while_it_is_typed(text: str, driver: Driver) -> None:
    for candidate in predict(driver, text, k=3).candidates:
        insertion = candidate.insertion.decode()
        probability = candidate.probability
        for typed in range(1, len(insertion)):
            left = insertion[typed:].encode()
            made = predict(driver, text + insertion[:typed], k=10)
            known = {c.insertion: c.probability for c in made.candidates}
            # What is typed speaks for it: it becomes likelier, never less likely.
            if left in known:
                assert known[left] >= probability - 1e-4
                probability = known[left]
            else:
                assert len(known) == 10
                assert made.candidates[-1].probability >= probability - 1e-4


# Cost: rows of the model, not milliseconds.


def typing(text: str, start: int) -> Iterator[str]:
    for end in range(start, len(text) + 1):
        yield text[:end]


@pytest.mark.parametrize(("text", "start"), [(PROSE, 120), (CODE, 120)], ids=["prose", "code"])
def test_a_keystroke_inside_a_word_needs_at_most_one_row(
    text: str, start: int, driver: Driver
) -> None:
    driver.clear()
    rows = []
    for typed in typing(text, start):
        before = driver.engine.rows_computed
        predict(driver, typed)
        if len(typed) > start and typed[-2:].isalpha():
            rows.append(driver.engine.rows_computed - before)
    assert len(rows) > 100
    assert statistics.median(rows) <= 1


# The same text, the same answer, whatever came before.


def jumps() -> list[str]:
    document = CODE + "\n\n" + PROSE + CODE
    return [document[:end] for end in (700, 100, 701, 90, 1200, 702, 1201, 300, 1300, 703)]


TRACES = {
    "prose": list(typing(PROSE, len(PROSE) - 40)),
    "code": list(typing(CODE, len(CODE) - 40)),
    "insertion into a file": [CODE[:250] + typed for typed in typing("        return None\n", 0)],
    "deleting": [PROSE[:end] for end in range(300, 270, -1)],
    "jumps": jumps(),
    "a pasted block": [PROSE[:200], PROSE[:200] + CODE, PROSE[:200] + CODE + "d", PROSE[:200]],
}


@pytest.fixture(scope="module")
def cold(folder: Path, driver: Driver) -> Driver:
    """The same weights, and nothing remembered."""
    return Driver(load(folder, name="cold", device="cpu", threads=2))


@pytest.mark.parametrize("trace", TRACES)
def test_what_is_remembered_changes_nothing(trace: str, driver: Driver, cold: Driver) -> None:
    steps = TRACES[trace]
    for place, text in enumerate(steps):
        warm = predict(driver, text)
        if place % max(1, len(steps) // 6) == 0 or place == len(steps) - 1:
            cold.clear()
            fresh = predict(cold, text)
            assert warm.fragment == fresh.fragment
            assert warm.fragment_probability == pytest.approx(fresh.fragment_probability, abs=1e-4)
            assert warm.rest == pytest.approx(fresh.rest, abs=1e-4)
            known = {c.insertion: c.probability for c in fresh.candidates}
            least = fresh.candidates[-1].probability
            for candidate in warm.candidates:
                expected = known.get(candidate.insertion, least)
                assert candidate.probability == pytest.approx(expected, abs=1e-4)
