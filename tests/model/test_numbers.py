"""Digits, white space and long texts on the real default model, against oracles made apart."""

import json
import math
import unicodedata
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asking import log_probability, logs_after
from likely.engines.engine import Driver
from likely.prediction.candidates import Prediction
from likely.prediction.cursor import predict_at_cursor
from likely.prediction.options import CursorOptions
from likely.prediction.scoring import TokenReading, read_token
from likely.prediction.window import TextBefore
from likely.text.vocabulary import TokenIds
from numbered_lines import lines
from oracle import Bpe

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
FUTURES = ("", "a", "1", "!", "'", " ", "\n", " a", "\n\n1", "  1")


class SmolLM(Bpe):
    """The default model's published tokenizer: digits one by one, then GPT-2's pattern."""

    def __init__(self, folder: Path) -> None:
        description = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        special = {token["content"] for token in description["added_tokens"]}
        model = description["model"]
        names = {name: token for name, token in model["vocab"].items() if name not in special}
        super().__init__(names, model["merges"], [r"\p{N}", GPT2])
        self._canonical: dict[bytes, frozenset[TokenIds]] = {}

    def is_canonical(self, tokens: TokenIds) -> bool:
        """Whether some text makes the tokenizer begin so: one of those with another end."""
        data = b"".join(self.bytes_of[token] for token in tokens)
        if data not in self._canonical:
            text = data.decode(errors="ignore")
            cut = data[len(text.encode()) :]
            self._canonical[data] = frozenset(
                self.first_tokens(text + completion + future, len(data))
                for completion in (completions(cut) if cut else ("",))
                for future in (FUTURES[:3] if cut else FUTURES)
            )
        return tokens in self._canonical[data]

    @cached_property
    def _by_first_byte(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for token, data in self.bytes_of.items():
            found.setdefault(data[0], []).append(token)
        return found

    def covers(self, data: bytes) -> Iterator[TokenIds]:
        """All canonical sequences that reach the end of `data` with their last token."""
        pending: list[tuple[TokenIds, bytes]] = [((), data)]
        while pending:
            head, left = pending.pop()
            for token in self._by_first_byte[left[0]]:
                spelled = self.bytes_of[token]
                if not (left.startswith(spelled) or spelled.startswith(left)):
                    continue
                if not self.is_canonical((*head, token)):
                    continue
                if len(spelled) < len(left):
                    pending.append(((*head, token), left[len(spelled) :]))
                else:
                    yield (*head, token)


def completions(cut: bytes) -> list[str]:
    """Some characters that begin with the bytes `cut`: of every kind that there is among many."""
    length = 2 if cut[0] < 0xE0 else 3 if cut[0] < 0xF0 else 4
    kinds: dict[str, str] = {}
    for last in product(range(0x80, 0xC0), repeat=min(2, length - len(cut))):
        data = cut + bytes([0x90] * (length - len(cut) - len(last))) + bytes(last)
        if character := data.decode(errors="ignore"):
            kinds.setdefault(unicodedata.category(character)[0], character)
    return list(kinds.values())


@pytest.fixture(scope="module")
def oracle(folder: Path) -> SmolLM:
    return SmolLM(folder)


@pytest.fixture(scope="module")
def plain(folder: Path, _two_threads: None) -> Any:
    from transformers import AutoModelForCausalLM

    models: Any = AutoModelForCausalLM
    return models.from_pretrained(folder, dtype=torch.float32).eval()


@cache
def _long_text() -> str:
    root = Path(__file__).parents[2]
    return (root / "README.md").read_text(encoding="utf-8") + "\n\n".join(lines(50))


def predict(driver: Driver, text: str, options: CursorOptions) -> Prediction:
    before = TextBefore(text.encode(), 0)
    return driver.answer(predict_at_cursor(driver.model, before, options))


def read(driver: Driver, before: bytes, after: bytes) -> TokenReading | None:
    question = read_token(driver.model, TextBefore(before, 0), after, 5, "none")
    return driver.answer(question)


# Tokens.


def test_ids_are_those_of_the_published_rules(driver: Driver, oracle: SmolLM) -> None:
    for line in [*lines(10_000), _long_text()]:
        assert driver.model.vocabulary.encode(line.encode()) == oracle.encode(line), line


def test_plain_transformers_reads_the_same_tokenizer(folder: Path, driver: Driver) -> None:
    from transformers import AutoTokenizer

    tokenizers: Any = AutoTokenizer
    tokenizer = tokenizers.from_pretrained(folder)
    assert tokenizer.eos_token == "<|im_end|>"
    for line in lines(200):
        assert tuple(tokenizer(line).input_ids) == driver.model.vocabulary.encode(line.encode()), (
            line
        )


# The cursor, by brute force.

LISTED = "How to wash a wool sweater:\n\n1. Fill a basin with cool water.\n\n"
CURSORS = [
    LISTED,
    LISTED + "2. Add a little soap.\n\n",
    "Steps:\n 1. Open the file.\n ",
    "import time\n\nfor i in range(3):\n    time.sleep(i)\n\nfor i in range(1",
    "year  sales\n2021    100\n2022    110\n2023    ",
    "x = [\n    1,\n    2,\n    ",
    "| a | b |\n|---|---|\n|  1 |  ",
    "Chapter 1\n\nIt rained.\n\nChapter 2\n\nIt stopped.\n\nChapter  ",
    "1.\tone\n2.\ttwo\n3.\tthree\n",
    "Item:\tpens\nTotal:\t",
    "The answer is\n\n",
    "a = 10\r\nb = 20\r\nc = ",
]


@pytest.mark.parametrize("text", CURSORS)
def test_after_white_space_candidates_are_those_of_brute_force(
    text: str, driver: Driver, oracle: SmolLM
) -> None:
    options = CursorOptions(k=5, mode="exact", document_start="none")
    made = predict(driver, text, options)
    assert made.method == "exact"
    pieces = oracle.pre_tokens(text)[-3:]
    typed = "".join(pieces).encode()
    # What follows decides how white space is cut, so the base alone may not be encoded.
    base = oracle.first_tokens(text, len(text.encode()) - len(typed))
    weights: dict[TokenIds, float] = {}
    for cover in oracle.covers(typed):
        weights[cover] = log_probability(driver, base, cover)
    total = np.logaddexp.reduce(list(weights.values()))
    for candidate in made.candidates:
        if not candidate.insertion.decode().strip():
            continue  # white space may be cut in many ways: the sum has many more terms
        probability = 0.0
        for cover, weight in weights.items():
            data = b"".join(oracle.bytes_of[token] for token in cover)
            if data == typed + candidate.insertion:
                probability += math.exp(weight - total)
            token = oracle.id_of.get(candidate.insertion)
            if data == typed and token and oracle.is_canonical((*cover, token)):
                row = logs_after(driver, base + cover)
                probability += math.exp(weight - total + float(row[token]))
        assert candidate.probability == pytest.approx(probability, abs=2e-4), candidate


def test_the_list_goes_on_with_the_next_number(driver: Driver) -> None:
    options = CursorOptions(k=1, mode="exact", document_start="none")
    (first,) = predict(driver, LISTED, options).candidates
    assert first.insertion == b"2"
    assert first.probability == pytest.approx(0.971, abs=1e-3)


# Long texts: all of it is seen.


def cut(oracle: SmolLM, tokens: int) -> str:
    """The beginning of the long text, so many tokens of it."""
    ids = oracle.encode(_long_text()[:8000])[:tokens]
    return b"".join(oracle.bytes_of[token] for token in ids).decode(errors="ignore")


def plain_rows(plain: Any, ids: TokenIds) -> torch.Tensor:
    with torch.inference_mode():
        logits = plain(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return torch.log_softmax(logits.float(), dim=-1)


@pytest.fixture(scope="module")
def long(plain: Any, oracle: SmolLM) -> tuple[TokenIds, torch.Tensor]:
    """A thousand tokens, and the log-probabilities after each of them in one plain pass."""
    ids = oracle.encode(cut(oracle, 1000))
    return ids, plain_rows(plain, ids)


@pytest.mark.parametrize("tokens", [300, 460, 700, 1000])
def test_a_long_text_is_answered_from_all_of_it(
    tokens: int,
    driver: Driver,
    oracle: SmolLM,
    long: tuple[TokenIds, torch.Tensor],
) -> None:
    ids, rows = long
    ids = ids[:tokens]
    text = b"".join(oracle.bytes_of[token] for token in ids).decode()
    assert oracle.encode(text) == ids
    row = rows[len(ids) - 1]
    made = predict(driver, text, CursorOptions(k=20, whole_characters=False))
    assert made.context_tokens == len(ids)
    for candidate in made.candidates:
        assert candidate.probability == pytest.approx(row[candidate.ids[0]].exp().item(), abs=1e-4)


def test_a_token_is_read_with_all_that_stands_before_it(
    driver: Driver, oracle: SmolLM, long: tuple[TokenIds, torch.Tensor]
) -> None:
    ids, rows = long
    data = b"".join(oracle.bytes_of[token] for token in ids)
    ends = list(accumulate(len(oracle.bytes_of[token]) for token in ids))
    for index in range(960, 995, 7):
        place = ends[index - 1]
        if data[place] & 0xC0 == 0x80:
            continue
        reading = read(driver, data[:place], data[place:])
        assert reading is not None
        assert reading.context_tokens == index
        assert reading.score.id == ids[index]
        assert reading.score.logprob == pytest.approx(rows[index - 1, ids[index]].item(), abs=2e-4)


def test_a_character_of_several_tokens_has_their_sum(
    driver: Driver, plain: Any, oracle: SmolLM
) -> None:
    before, emoji = "I am so happy today ", "🦩"
    ids = oracle.encode(before + emoji)
    first = len(oracle.encode(before.rstrip()))
    assert len(ids) - first > 1
    reading = read(driver, before.encode(), emoji.encode())
    assert reading is not None
    rows = plain_rows(plain, ids)
    logs = [rows[index - 1, ids[index]].item() for index in range(first, len(ids))]
    assert reading.logprob == pytest.approx(sum(logs), abs=1e-3)
    assert [token.score.id for token in reading.tokens] == list(ids[first:])
