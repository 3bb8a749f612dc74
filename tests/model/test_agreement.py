"""`likely predict` on the default model, against plain transformers and none of our code."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from likely import predict_next_tokens
from likely.cli import commands

PROSE = (
    "The lake lay still under a sky the colour of slate. Nobody had crossed it since the ferry"
    " stopped running, and the reeds had crept so far out from the shore that the old landing"
    " stood among them like a table in tall grass. "
)
CODE = '''def mean(values: list[float]) -> float:
    """Return the arithmetic mean."""
    total = 0.0
    for value in values:
        total += value
    return total / len(values)
'''
TEXTS = {
    "the notebook's": "This weekend I plan to",
    "a verse": "For God so loved the",
    "Hamlet": "To be or not to",
    "prose": PROSE,
    "a sentence that ends": "It was over.",
    "a question": 'She asked, "What time is it?',
    "the middle of a word": "The mitochondria is the pow",
    "capitals": "IN THE BEGINNING WAS THE",
    "a trailing space": "This weekend I plan to ",
    "several trailing spaces": "name:    ",
    "a trailing line end": "The first line.\n",
    "a blank line": "The first paragraph.\n\n",
    "a carriage return": "one\r\ntwo\r\n",
    "tabs": "a\tb\tc\t",
    "code": CODE,
    "code, indented": "class Plan:\n    def __init__(self):\n        self.",
    "a call": "print(f'{x:>10}",
    "JSON": '{"name": "likely", "k": 10, "mode":',
    "HTML": "<ul><li>one</li><li>two</li>",
    "emoji": "I love you ❤️😀👩‍💻 ",
    "Chinese": "今天天气很好，我们去",
    "Japanese": "吾輩は猫である。名前は",
    "Cyrillic": "Все счастливые семьи похожи друг на",
    "accents": "Le café était fermé, mais l'élève",
    "digits": "3.14159265358979323846",
    "a year": "The Second World War ended in 19",
    "a special token as text": "The end.<|endoftext|>The",
    "a chat marker as text": "<|im_start|>user\nHello",
    "one token": "The",
    "400 tokens": PROSE * 9,
}


class Plain:
    """Ids of a text and the distribution after it, as anybody would compute them."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        models: Any = AutoModelForCausalLM
        tokenizers: Any = AutoTokenizer
        self._tokenizer = tokenizers.from_pretrained(folder)
        self._model = models.from_pretrained(folder, dtype=torch.float32).eval()
        self.special: list[int] = list(self._tokenizer.get_added_vocab().values())

    def ids(self, text: str) -> list[int]:
        encoding = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        ids: list[int] = encoding.input_ids
        return ids

    def distribution(self, text: str) -> torch.Tensor:
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([self.ids(text)]), use_cache=False).logits
        return torch.softmax(logits[0, -1], dim=-1)


@pytest.fixture(scope="module")
def plain(folder: Path, _two_threads: None) -> Plain:
    return Plain(folder)


def test_there_are_thirty_texts_of_all_kinds(plain: Plain) -> None:
    assert len(TEXTS) == 30
    assert len(plain.ids(TEXTS["one token"])) == 1
    assert len(plain.ids(TEXTS["400 tokens"])) >= 400
    assert not set(plain.special).intersection(plain.ids(TEXTS["a special token as text"]))
    assert len(plain.special) == 17


@pytest.mark.parametrize("kind", TEXTS)
def test_predictions_are_those_of_transformers(kind: str, plain: Plain) -> None:
    distribution = plain.distribution(TEXTS[kind])
    options = ["-k", "50", "--json", "--device", "cpu", "--threads", "2"]
    run = CliRunner().invoke(commands, ["predict", TEXTS[kind], *options], catch_exceptions=False)
    assert run.exit_code == 0
    answer = json.loads(run.stdout)
    assert answer["model"] == "smollm2-135m"
    assert answer["mode"] == "raw"
    assert answer["text"] == TEXTS[kind]
    assert answer["context_tokens"] == len(plain.ids(TEXTS[kind]))
    candidates = answer["candidates"]
    assert [candidate["rank"] for candidate in candidates] == list(range(1, 51))
    for candidate in candidates:
        (token,) = candidate["ids"]
        assert candidate["probability"] == pytest.approx(distribution[token].item(), abs=1e-5)
        assert candidate["logprob"] == pytest.approx(math.log(candidate["probability"]), abs=1e-6)
    # The same list, but for what floating point cannot tell apart; end of text is no candidate.
    text_only = distribution.index_fill(0, torch.tensor(plain.special), 0.0)
    expected = torch.topk(text_only, 50).values.tolist()
    for place, candidate in enumerate(candidates):
        assert candidate["probability"] == pytest.approx(expected[place], abs=1e-5)
    assert answer["rest"] == pytest.approx(1 - math.fsum(expected[:50]), abs=1e-4)


def test_the_function_says_what_the_command_says() -> None:
    table = predict_next_tokens(TEXTS["the notebook's"], 5, device="cpu", threads=2)
    run = CliRunner().invoke(
        commands, ["predict", TEXTS["the notebook's"], "-k", "5", "--json", "--device", "cpu"]
    )
    assert [candidate["probability"] for candidate in json.loads(run.stdout)["candidates"]] == (
        pytest.approx([candidate.probability for candidate in table])
    )


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        (
            "This weekend I plan to",
            {
                " visit": 0.0538,
                " celebrate": 0.0514,
                " have": 0.0491,
                " be": 0.0450,
                " attend": 0.0410,
            },
        ),
        ("For God so loved the", {" world": 0.3568, " creation": 0.2270}),
        ("To be or not to", {" be": 0.9158}),
    ],
)
def test_reference_figures(text: str, figures: dict[str, float]) -> None:
    table = predict_next_tokens(text, len(figures), device="cpu", threads=2)
    assert {c.insertion.decode(): c.probability for c in table} == pytest.approx(figures, abs=6e-5)
    assert [c.insertion.decode() for c in table] == list(figures)
