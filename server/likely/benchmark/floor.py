"""What memory bandwidth alone allows: every weight is read once in each pass."""

import json
import math
import re
from pathlib import Path

from likely.models.weights_file import read_header

_FLOAT32 = 4
_EMBEDDING = re.compile(r"\b(embed_tokens|wte|wpe|embed_in|word_embeddings)\.weight$")
_HEAD = re.compile(r"\b(lm_head|embed_out)\.weight$")
_NO_WEIGHT = re.compile(r"\b(attn\.bias|masked_bias|inv_freq)$")


def bytes_per_pass(folder: Path) -> int:
    """How many bytes of float32 weights one token's pass reads, its logits included.

    Of an embedding only one line is read, unless it is the head as well.
    """
    layers = head = embedding = 0
    for path in sorted(folder.glob("*.safetensors")):
        for name, entry in read_header(path).tensors.items():
            size = _FLOAT32 * math.prod(entry["shape"])
            if _HEAD.search(name):
                head = size
            elif _EMBEDDING.search(name):
                embedding = max(embedding, size)
            elif not _NO_WEIGHT.search(name):
                layers += size
    return layers + (embedding if _is_tied(folder, head) else head)


def _is_tied(folder: Path, head: int) -> bool:
    config = json.loads((folder / "config.json").read_bytes())
    return head == 0 or bool(config.get("tie_word_embeddings", False))
