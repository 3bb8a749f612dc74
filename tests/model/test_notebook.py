"""The notebook that this project grew from: its model, its phrase, its tables."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from likely import predict_next_tokens
from likely.models import sources
from likely.text.vocabulary import Vocabulary

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PHRASE = "This weekend I plan to"

needs_data = pytest.mark.skipif(
    not (DATA / "distilgpt2" / "tokenizer.json").exists(),
    reason=f"the notebook's data are not at {DATA}",
)

TABLES = {
    PHRASE: {
        "go": 0.059828,
        "take": 0.04388,
        "spend": 0.03157,
        "make": 0.030519,
        "do": 0.029206,
        "be": 0.02796,
        "attend": 0.025885,
        "visit": 0.025827,
        "run": 0.022074,
        "have": 0.020955,
    },
    "To be or not to": {
        "be": 0.648473,
        "have": 0.021346,
        "the": 0.012962,
        "do": 0.009471,
        ",": 0.007444,
    },
    "For God so loved the": {
        "world": 0.120081,
        "Lord": 0.072237,
        "people": 0.050226,
        "earth": 0.04275,
        "children": 0.026753,
    },
}


@pytest.fixture(scope="module")
def distilgpt2() -> str:
    """The notebook's model, where its weights are on this machine; nothing is fetched."""
    try:
        sources.locate("distilgpt2", offline=True)
    except sources.ModelError as error:
        pytest.skip(f"the notebook's weights are not on this machine: {error}")
    return "distilgpt2"


@pytest.mark.parametrize("phrase", TABLES)
def test_the_notebooks_tables(phrase: str, distilgpt2: str) -> None:
    expected = TABLES[phrase]
    table = predict_next_tokens(
        phrase, len(expected), model=distilgpt2, document_start="space", device="cpu"
    )
    assert [c.insertion.decode().removeprefix(" ") for c in table] == list(expected)
    assert [c.probability for c in table] == pytest.approx(list(expected.values()), abs=1e-4)


def test_the_notebooks_most_likely_token(distilgpt2: str) -> None:
    (best,) = predict_next_tokens(PHRASE, 1, model=distilgpt2, document_start="space", device="cpu")
    assert best.ids == (467,)


@needs_data
def test_the_tables_are_those_of_the_notebook() -> None:
    notebook = json.loads((DATA / "notebook_tables.json").read_text(encoding="utf-8"))
    assert {table["phrase"]: dict(table["candidates"]) for table in notebook["tables"]} == TABLES


@needs_data
def test_the_notebooks_vocabulary() -> None:
    vocabulary = Vocabulary.from_file(DATA / "distilgpt2" / "tokenizer.json")
    assert len(vocabulary) == 50_257
    assert vocabulary.exact
    assert vocabulary.token_bytes(467) == b" go"
    assert len(vocabulary.encode(b" " + PHRASE.encode())) == 5
    assert len(vocabulary.encode(PHRASE.encode())) == 5


@needs_data
def test_the_notebooks_number_of_parameters() -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    models: Any = AutoModelForCausalLM
    config: Any = AutoConfig.from_pretrained(DATA / "distilgpt2")
    with torch.device("meta"):
        model = models.from_config(config)
    assert math.fsum(parameter.numel() for parameter in model.parameters()) == 81_912_576


@needs_data
def test_the_notebooks_vocabulary_as_bytes() -> None:
    """What FACTS about its tokens are built on: most begin with a space, some are no text."""
    vocabulary = Vocabulary.from_file(DATA / "distilgpt2" / "tokenizer.json")
    spelled = [vocabulary.token_bytes(i) for i in range(50_256)]
    assert sum(data.startswith(b" ") for data in spelled) == 33_135
    assert sum(data.decode(errors="ignore").encode() != data for data in spelled) == 344
    assert max(map(len, spelled)) == 128
    assert vocabulary.special == {50_256}
