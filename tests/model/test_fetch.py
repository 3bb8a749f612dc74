"""The default model, truly fetched and converted; skipped only where it cannot be fetched."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from likely.models import default_model, sources, weights_file

# Probabilities that plain transformers gives on the same weights, in raw mode.
REFERENCE = {
    "This weekend I plan to": {
        " visit": 0.0538,
        " celebrate": 0.0514,
        " have": 0.0491,
        " be": 0.0450,
        " attend": 0.0410,
    },
    "For God so loved the": {" world": 0.3568, " creation": 0.2270},
    "To be or not to": {" be": 0.9158},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(cache: Path) -> Path:
    try:
        return sources.locate("smollm2-135m", cache_directory=cache)
    except sources.ModelUnavailableError as error:
        if "could not fetch" not in str(error):
            raise
        pytest.skip(str(error))


def test_plain_transformers_loads_the_folder_and_agrees_with_the_reference(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model, report = loaded
    assert not any(report.values())
    assert model.dtype == torch.float32
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    for phrase, expected in REFERENCE.items():
        with torch.inference_mode():
            logits = model(**tokenizer(phrase, return_tensors="pt")).logits[0, -1]
        values, ids = torch.softmax(logits, dim=-1).topk(len(expected))
        found = {tokenizer.decode(i): p for i, p in zip(ids.tolist(), values.tolist(), strict=True)}
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_file_holds_what_a_layer_multiplies_together_side_by_side(folder: Path) -> None:
    header = weights_file.read_header(folder / "model.safetensors")
    assert header.data_start % weights_file.ALIGNMENT == 0
    assert "lm_head.weight" not in header.tensors
    for layer in range(30):
        end = None
        for part in ("q", "k", "v"):
            name = f"model.layers.{layer}.self_attn.{part}_proj.weight"
            begin, stop = header.tensors[name]["data_offsets"]
            assert end in (None, begin)
            assert begin % weights_file.ALIGNMENT == 0
            end = stop


def test_nothing_but_the_model_is_left_in_the_cache(folder: Path, cache: Path) -> None:
    assert [path.name for path in (cache / "models").iterdir()] == ["smollm2-135m"]
    assert not list(folder.rglob("*.gguf"))


def test_a_fetched_model_is_found_without_a_network_or_reading_it(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the model is there")

    for module, name in (
        (sources, "sha256"),
        (sources, "convert_gguf"),
        (default_model, "installed_gguf"),
        (default_model, "fetch_gguf"),
    ):
        monkeypatch.setattr(module, name, never)
    assert sources.locate("smollm2-135m", offline=True, cache_directory=cache) == folder


def test_the_path_command_prints_the_folder_alone(folder: Path, cache: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "likely", "models", "path", "smollm2-135m", "--offline"],
        capture_output=True,
        text=True,
        env={**os.environ, "LIKELY_CACHE": str(cache)},
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{folder}\n", "")
