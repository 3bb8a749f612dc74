"""The tokenizer of a GGUF file as a `tokenizer.json`, built from what the file says.

Needs neither torch nor transformers. The name of the pre-tokenizer (`tokenizer.ggml.pre`) decides
how text is split before merging; what each name stands for is what llama.cpp takes it for, in
the words of the model's own published tokenizer. Half of the names tell models apart that split
alike.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from likely.models.reporting import ModelError
from likely.text.pretokenizers import CONTRACTIONS, word_pattern

_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _cased(digits: str, contraction: str = "") -> str:
    """Words that end where capitals begin, as GPT-4o and Tekken split."""
    return (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{contraction}"
        rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{contraction}"
        rf"|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    )


_CJK = r"[一-龥぀-ゟ゠-ヿ]+"
_DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|" + _SPACES
)
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"


@dataclass(frozen=True, slots=True)
class _Rules:
    """How a family of models splits text.

    `patterns` cut one after another, each what the ones before it have left; none stands for
    GPT-2's own. `digits`: each digit is split off first. `whole`: a word that is a token is one,
    whatever its merges would give. `begins`: a beginning-of-text token stands first unless the
    file says otherwise. `composes`: text is put into NFC first.
    """

    patterns: tuple[str, ...] = ()
    digits: bool = False
    whole: bool = False
    begins: bool = False
    composes: bool = False


_LLAMA3 = word_pattern(r"\p{N}{1,3}")
_QWEN2 = word_pattern(r"\p{N}")
_CASED_3 = _Rules((_cased(r"\p{N}{1,3}", f"{CONTRACTIONS}?"),))
_GPT2_RULES, _DIGITS_FIRST = _Rules(), _Rules(digits=True)
_LLAMA3_RULES = _Rules((_LLAMA3,), whole=True, begins=True)
_DEEPSEEK3_RULES = _Rules((r"\p{N}{1,3}", _CJK, _DEEPSEEK3))
_BAILING = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
_FALCON = (r"[\p{P}$+<=>^~|`]+", _GPT2, r"[0-9][0-9][0-9]")
# What a file gets that names none: llama.cpp's guess, which is hardly the model's own.
_UNNAMED = _Rules((r"[\p{P}$+<=>^~|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"))

_FAMILIES: tuple[tuple[_Rules, str], ...] = (
    (
        _GPT2_RULES,
        "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe"
        " gigachat a.x-4.0 mellum modern-bert mpt olmo jais trillion granite-docling exaone4",
    ),
    (
        _DIGITS_FIRST,
        "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
    ),
    (
        _LLAMA3_RULES,
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    ),
    (_Rules((_LLAMA3,)), "dbrx smaug-bpe chatglm-bpe"),
    (_Rules((_LLAMA3,), whole=True), "glm4 glm5"),
    (_Rules((_QWEN2,), composes=True), "qwen2 stablelm2"),
    (_Rules((_QWEN2,)), "deepseek-r1-qwen kormo f2llmv2 megrez hunyuan solar-open grok-2"),
    (_Rules((word_pattern(r"\p{N}", marks=True),), composes=True), "qwen35"),
    (_Rules((_cased(r"\p{N}"),), whole=True, begins=True), "tekken"),
    (_CASED_3, "gpt-4o llama4 kanana2 talkie minimax-m2"),
    (_Rules((r"\p{N}{1,3}", word_pattern(r"\p{N}+")), whole=True), "minicpm5"),
    (_Rules((_BAILING,)), "bailingmoe bailingmoe2 llada-moe"),
    (_Rules((r"[^\n]+|[\n]+", _QWEN2)), "laguna"),
    (_Rules((_QWEN2.removeprefix(f"{CONTRACTIONS}|"),)), "ufakzeka"),
    (_DEEPSEEK3_RULES, "deepseek-v3 hunyuan-dense joyai-llm hy_v4"),
    (
        _Rules((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}")),
        "deepseek-coder",
    ),
    (_Rules(_FALCON), "falcon"),
    (_Rules((_BLOOM,)), "bloom gpt3-finnish poro-chat"),
    (_Rules((_BLOOM, r"\p{N}")), "viking"),
    (_UNNAMED, "default"),
)
_RULES = {name: rules for rules, names in _FAMILIES for name in names.split()}

_UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 2, 3, 4, 5


def is_byte_level(metadata: Mapping[str, Any]) -> bool:
    """Whether the tokenizer is byte-level BPE, the kind that `tokenizer_json` writes."""
    return metadata.get("tokenizer.ggml.model") == "gpt2"


def tokenizer_json(metadata: Mapping[str, Any], shown: str) -> str:
    """Return the text of a `tokenizer.json` for the entries of a GGUF file (`read_metadata`).

    Special tokens are the file's control tokens and those that are not used. Raises `ModelError`
    where the pre-tokenizer is none that is known, or the entries are broken; `shown` is the model
    as the user named it.
    """
    rules = _rules(metadata, shown)
    try:
        names = _distinct(metadata["tokenizer.ggml.tokens"])
        merges = [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]]
        kinds = metadata.get("tokenizer.ggml.token_type") or [1] * len(names)
        begin = _beginning(metadata, rules, names)
        vocabulary = {name: number for number, name in enumerate(names)}
        description = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                _added(number, names[number], special=_is_special(names[number], kind))
                for number, kind in enumerate(kinds)
                if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED)
            ],
            "normalizer": {"type": "NFC"} if rules.composes else None,
            "pre_tokenizer": _pre_tokenizer(rules),
            "post_processor": _post_processor(begin, vocabulary),
            "decoder": _byte_level(use_regex=True),
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": rules.whole,
                "vocab": vocabulary,
                # Some files carry merges whose parts are no tokens.
                "merges": [
                    [left, right]
                    for left, right in merges
                    if left in vocabulary and right in vocabulary and left + right in vocabulary
                ],
            },
        }
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the tokenizer in {shown} is incomplete ({error}): get the file again"
        ) from error
    return json.dumps(description, ensure_ascii=False)


def tokenizer_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what other programs look for in a `tokenizer_config.json` beside it."""
    names = _distinct(metadata["tokenizer.ggml.tokens"])
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for key, role in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
        number = metadata.get(f"tokenizer.ggml.{key}_token_id")
        if number is not None and number < len(names):
            config[f"{role}_token"] = names[number]
    if template := metadata.get("tokenizer.chat_template"):
        config["chat_template"] = template
    return config


def _rules(metadata: Mapping[str, Any], shown: str) -> _Rules:
    name = metadata.get("tokenizer.ggml.pre") or "default"
    try:
        return _RULES[name]
    except (KeyError, TypeError):
        raise ModelError(
            f"{shown} splits text by rules that Likely does not know ({name}), so its figures "
            "would be wrong: take the model as a folder with its own tokenizer.json"
        ) from None


def _distinct(tokens: list[str]) -> list[str]:
    """The names of the tokens; what has none of its own can stand for no text."""
    seen: set[str] = set()
    names = []
    for number, token in enumerate(tokens):
        name = token if token and token not in seen else f"<unused {number}>"
        seen.add(name)
        names.append(name)
    return names


def _beginning(metadata: Mapping[str, Any], rules: _Rules, names: list[str]) -> str | None:
    """The token that the tokenizer puts before every text, None where it puts none."""
    number = metadata.get("tokenizer.ggml.bos_token_id")
    if not metadata.get("tokenizer.ggml.add_bos_token", rules.begins) or number is None:
        return None
    return str(names[number])


def _is_special(name: str, kind: int) -> bool:
    """Whether a token that merges do not make is no text either.

    Where a model has more rows than tokens, files fill up with names such as [PAD49152].
    """
    return kind != _USER_DEFINED or re.fullmatch(r"\[PAD\d+\]", name) is not None


def _added(number: int, name: str, *, special: bool) -> dict[str, Any]:
    return {
        "id": number,
        "content": name,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    }


def _pre_tokenizer(rules: _Rules) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if rules.digits:
        parts.append({"type": "Digits", "individual_digits": True})
    parts += [
        {
            "type": "Split",
            "pattern": {"Regex": pattern},
            "behavior": "Isolated",
            "invert": False,
        }
        for pattern in rules.patterns
    ]
    parts.append(_byte_level(use_regex=not rules.patterns))
    return {"type": "Sequence", "pretokenizers": parts} if len(parts) > 1 else parts[0]


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _post_processor(begin: str | None, vocabulary: Mapping[str, int]) -> dict[str, Any] | None:
    if begin is None:
        return None
    first = {"SpecialToken": {"id": begin, "type_id": 0}}
    one, two = ({"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B"))
    return {
        "type": "TemplateProcessing",
        "single": [first, one],
        "pair": [first, one, first, two],
        "special_tokens": {
            begin: {"id": begin, "ids": [vocabulary[begin]], "tokens": [begin]},
        },
    }
