"""Whether a folder holds a causal language model that can be loaded, judged without loading it."""

import json
from pathlib import Path
from typing import Any

from likely.models.reporting import ModelError
from likely.models.weights_file import read_header

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
# Files that a tokenizer.json can be built from.
TOKENIZER_SOURCES = (
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
TOKENIZER_FILES = (
    TOKENIZER,
    *TOKENIZER_SOURCES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

# Known without asking transformers, whose registry takes seconds to import.
_COMMON_TYPES = frozenset({"gpt2", "llama", "mistral", "qwen2"})
_CAUSAL_HEADS = ("ForCausalLM", "LMHeadModel")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def read_config(folder: Path, shown: str) -> dict[str, Any]:
    """Read `config.json`. Raises `ModelError` where it is missing or unreadable."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        if files := sorted(file.name for file in folder.glob("*.gguf")):
            raise ModelError(
                f"{shown} has no config.json but holds {files[0]}: name that file as the model"
            ) from None
        raise ModelError(
            f"{shown} has no config.json: name a folder with config.json, {WEIGHTS} and "
            f"{TOKENIZER}, or a .gguf file"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path} ({error}): get the file again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is no model configuration: get the file again")
    return config


def check_architecture(config: dict[str, Any], shown: str) -> None:
    """Raise `ModelError` unless `config` describes a causal language model that we can run."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise ModelError(
            f"the config.json of {shown} names no model_type: "
            "choose a model in the transformers format"
        )
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{shown} is an encoder-decoder model ({kind}), not a causal language model: "
            "choose one that continues text, such as smollm2-135m or distilgpt2"
        )
    named = config.get("architectures")
    heads = [str(name) for name in named] if isinstance(named, list) else []
    if heads and not any(name.endswith(_CAUSAL_HEADS) for name in heads):
        raise _not_causal(shown, heads[0])
    if kind in _COMMON_TYPES:
        return
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        MODEL_MAPPING_NAMES,
    )

    if kind not in MODEL_MAPPING_NAMES and kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        if config.get("auto_map"):
            raise ModelError(
                f"{shown} needs Python code of its own (model type {kind}), which Likely never "
                "runs: choose a model that transformers supports itself"
            )
        raise ModelError(
            f"{shown} has the unknown architecture {kind}: "
            "choose another model, or upgrade transformers"
        )
    masked = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or masked:
        raise _not_causal(shown, heads[0] if heads else kind)


def check_weights(folder: Path, shown: str) -> None:
    """Raise `ModelError` unless the weights are whole safetensors files."""
    for path in _weight_files(folder, shown):
        if not path.is_file():
            raise ModelError(f"{shown} lacks {path.name}: get the model again")
        read_header(path)


def has_tokenizer(folder: Path, shown: str) -> bool:
    """Whether there is a whole tokenizer.json. Raises `ModelError` where it is cut short."""
    path = folder / TOKENIZER
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 64, 0))
        if not file.read().rstrip().endswith(b"}"):
            raise ModelError(f"the {TOKENIZER} of {shown} is truncated: get the file again")
    return True


def missing_tokenizer(shown: str, reason: str = "") -> ModelError:
    """Return the error for a model without a usable tokenizer."""
    return ModelError(
        f"{shown} has no {TOKENIZER}"
        + (f", and none can be made ({reason})" if reason else "")
        + ": put the tokenizer files of the model beside its config.json"
    )


def _weight_files(folder: Path, shown: str) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / WEIGHTS_INDEX
    if index.is_file():
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
            return [folder / Path(name).name for name in sorted(names)]
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"{index} is corrupt: get the file again") from error
    if any(path for pattern in _PICKLES for path in folder.glob(pattern)):
        raise pickle_only(shown)
    raise ModelError(f"{shown} has no {WEIGHTS}: put the model's weights beside its config.json")


def pickle_only(shown: str) -> ModelError:
    """Return the error for weights that are only there as pickle."""
    return ModelError(
        f"{shown} has its weights only as pickle, which can run code when it is opened: "
        "choose a model or revision with safetensors"
    )


def _not_causal(shown: str, architecture: str) -> ModelError:
    return ModelError(
        f"{shown} is not a causal language model ({architecture}): "
        "choose one that continues text, such as smollm2-135m or distilgpt2"
    )
