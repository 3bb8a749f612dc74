"""The tokenizer that a GGUF file describes, against another implementation of its rules."""

import json
import struct
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from likely.models.gguf_metadata import read_metadata
from likely.models.gguf_tokenizer import is_byte_level, tokenizer_config, tokenizer_json
from likely.models.reporting import ModelError
from likely.text.vocabulary import Vocabulary
from numbered_lines import lines
from oracle import Bpe
from unit.tiny import GPT2, LLAMA3, QWEN, QWEN35, STYLES, Style, definition

LOWER, UPPER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
CASED = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+C|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*C"
    r"|D| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
# What each name of a pre-tokenizer stands for: the patterns that split one after another.
PATTERNS = {
    "gpt-2": (GPT2,),
    "smollm": (r"\p{N}", GPT2),
    "starcoder": (r"\p{N}", GPT2),
    "llama-bpe": (LLAMA3,),
    "dbrx": (LLAMA3,),
    "qwen2": (QWEN,),
    "deepseek-r1-qwen": (QWEN,),
    "qwen35": (QWEN35,),
    "tekken": (CASED.replace("C", "").replace("D", r"\p{N}"),),
    "gpt-4o": (CASED.replace("C", f"{CONTRACTION}?").replace("D", r"\p{N}{1,3}"),),
    "deepseek-v3": DEEPSEEK3,
    "deepseek-coder": (*(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"),),
    "falcon": (r"[\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"),
    "bloom": (r" ?[^(\s|.,!?…。，、।۔،)]+",),
    "bailingmoe": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]|\s+(?!\S)|\s+",
    ),
    "minicpm5": (r"\p{N}{1,3}", QWEN.replace(r"|\p{N}|", r"|\p{N}+|")),
    "default": (r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
}
EXACT = {
    *("gpt-2", "smollm", "starcoder", "llama-bpe", "dbrx", "qwen2", "deepseek-r1-qwen", "qwen35")
}
NAMED = ("smollm", "llama-bpe", "qwen2", "gpt-2")


def metadata(pre: str | None, style: Style = STYLES[0], **changes: Any) -> dict[str, Any]:
    """What a GGUF file with the tokens of `style` would say."""
    model = json.loads(definition(style))["model"]
    names = sorted(model["vocab"], key=model["vocab"].get)
    found: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": [3 if name == "<|endoftext|>" else 1 for name in names],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in model["merges"]],
        "tokenizer.ggml.bos_token_id": names.index("<|endoftext|>"),
        **changes,
    }
    return found if pre is None else {**found, "tokenizer.ggml.pre": pre}


@cache
def vocabulary(pre: str | None) -> Vocabulary:
    return Vocabulary(tokenizer_json(metadata(pre), "a model"))


@pytest.mark.parametrize("pre", PATTERNS)
def test_ids_are_those_of_the_rules(pre: str) -> None:
    model = json.loads(definition(STYLES[0]))["model"]
    whole = pre in ("llama-bpe", "tekken", "minicpm5")
    names = {name: number for name, number in model["vocab"].items() if name != "<|endoftext|>"}
    other = Bpe(names, model["merges"], PATTERNS[pre], ignores_merges=whole)
    for line in lines(10_000 if pre in NAMED else 2_000):
        text = unicodedata.normalize("NFC", line) if vocabulary(pre).composes else line
        assert vocabulary(pre).encode(line.encode()) == other.encode(text), line


@pytest.mark.parametrize("pre", PATTERNS)
def test_exact_is_said_only_where_boundaries_are_known(pre: str) -> None:
    assert vocabulary(pre).byte_level
    assert vocabulary(pre).exact == (pre in EXACT)


def test_a_file_that_names_no_rules_is_never_exact() -> None:
    assert not vocabulary(None).exact
    assert vocabulary(None).encode(b"12345 is it") == vocabulary("default").encode(b"12345 is it")


def test_unknown_rules_are_refused_by_name() -> None:
    for pre in ("kimi-k2", "a-new-one"):
        with pytest.raises(ModelError, match=rf"a model splits text by rules .*\({pre}\).*folder"):
            tokenizer_json(metadata(pre), "a model")


@pytest.mark.parametrize(
    ("pre", "changes", "begins"),
    [
        ("gpt-2", {}, False),
        ("gpt-2", {"tokenizer.ggml.add_bos_token": True}, True),
        ("llama-bpe", {}, True),
        ("llama-bpe", {"tokenizer.ggml.add_bos_token": False}, False),
        ("llama-bpe", {"tokenizer.ggml.bos_token_id": None}, False),
    ],
)
def test_a_text_begins_as_the_file_says(pre: str, changes: dict[str, Any], begins: bool) -> None:
    made = Vocabulary(tokenizer_json(metadata(pre, **changes), "a model"))
    assert [made.special_name(token) for token in made.begins] == ["<|endoftext|>"] * begins


def test_tokens_that_are_no_text_are_special() -> None:
    found = metadata("gpt-2")
    added = {"<|im_end|>": 3, "<unk>": 2, "[PAD480]": 4, "<tool>": 4, "": 1, "the": 1}
    found["tokenizer.ggml.tokens"] = [*found["tokenizer.ggml.tokens"], *added, "never"]
    found["tokenizer.ggml.token_type"] = [*found["tokenizer.ggml.token_type"], *added.values(), 5]
    made = Vocabulary(tokenizer_json(found, "a model"))
    for name in ("<|endoftext|>", "<|im_end|>", "<unk>", "[PAD480]", "<tool>", "never"):
        assert made.id_of(name) in made.special
    assert made.exact
    assert len(made) == len(found["tokenizer.ggml.tokens"])


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer.ggml.tokens": None},
        {"tokenizer.ggml.merges": ["a b c"]},
        {"tokenizer.ggml.merges": None},
        {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 10**6},
        {"tokenizer.ggml.token_type": [3] * 10_000},
    ],
)
def test_a_broken_tokenizer_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="the tokenizer in a model is incomplete"):
        tokenizer_json(metadata("gpt-2", **changes), "a model")


# The file.


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_a_file_says_what_its_writer_wrote(gguf_file: Path) -> None:
    found = read_metadata(gguf_file)
    assert is_byte_level(found)
    assert found["general.name"] == "tiny"
    assert found["llama.context_length"] == 128
    assert found["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    made = Vocabulary(tokenizer_json(found, "tiny"))
    theirs = tiny_models.tokenizer()
    assert made.encode(tiny_models.TEXT.encode()) == tuple(theirs.encode(tiny_models.TEXT).ids)
    assert tokenizer_config(found)["eos_token"] == "<|endoftext|>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda data: b"", "no GGUF file"),
        (lambda data: b"GGUF", "truncated or corrupt"),
        (lambda data: data[:3000], "truncated or corrupt"),
        (lambda data: b"GGUF" + struct.pack("<I", 1) + data[8:], "GGUF version 1"),
        (lambda data: data[:16] + struct.pack("<Q", 2**60) + data[24:], "truncated or corrupt"),
        (lambda data: data.replace(b"tokens\x09\0\0\0\x08", b"tokens\x09\0\0\0\x7f"), "corrupt"),
    ],
)
def test_a_broken_file_is_named(
    gguf_file: Path, tmp_path: Path, content: Any, expected: str
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content(gguf_file.read_bytes()))
    with pytest.raises(ModelError, match=rf"broken\.gguf.*{expected}.*: get"):
        read_metadata(path)
