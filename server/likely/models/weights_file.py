"""Safetensors files: their headers, whether they are whole, and writing them in a chosen order.

A file is eight bytes of little-endian header length, a JSON header and the raw tensors without
holes. The header is padded so that the data begins at a multiple of `ALIGNMENT`; tensors whose
sizes are multiples of it then stay aligned in a memory map.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likely.models.reporting import ModelError

ALIGNMENT = 64
# The format itself refuses longer headers.
LONGEST_HEADER = 100_000_000

_DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "uint8": "U8"}
# Matrices that multiply the same input stand side by side, so that a memory map of the file
# holds them as one matrix that needs no copy.
_NEIGHBOURS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
_EMBEDDING = re.compile(r"\b(embed_tokens|wte|wpe|embed_in|word_embeddings)\.weight$")
_HEAD = re.compile(r"\b(lm_head|embed_out)\.weight$")
_NO_WEIGHT = re.compile(r"\b(attn\.bias|masked_bias|inv_freq)$")


@dataclass(frozen=True, slots=True)
class Header:
    """Where each tensor lies: entries as in the format, offsets relative to `data_start`."""

    tensors: dict[str, dict[str, Any]]
    data_start: int


def read_header(path: Path) -> Header:
    """Read and check the header of `path` against the size of the file.

    Raises `ModelError` where the file is truncated or no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > LONGEST_HEADER:
            raise ModelError(f"{path} is no safetensors file: get the file again")
        if 8 + length > size:
            raise ModelError(_truncated(path, size, 8 + length))
        raw = file.read(length)
    try:
        entries = json.loads(raw)
        entries.pop("__metadata__", None)
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        raise ModelError(
            f"{path} is corrupt: its header cannot be read; get the file again"
        ) from None
    if 8 + length + end > size:
        raise ModelError(_truncated(path, size, 8 + length + end))
    if 8 + length + end < size:
        raise ModelError(
            f"{path} is corrupt: {size:,} bytes where its header promises "
            f"{8 + length + end:,}; get the file again"
        )
    return Header(entries, 8 + length)


def in_fusing_order(names: Iterable[str]) -> list[str]:
    """Order tensors so that matrices with the same input are adjacent, else as they come."""
    ordered = list(names)
    place = {name: index for index, name in enumerate(ordered)}

    def key(name: str) -> tuple[int, int]:
        for group in _NEIGHBOURS:
            for rank, part in enumerate(group):
                pattern = rf"\b{part}\b"
                if not re.search(pattern, name):
                    continue
                siblings = [re.sub(pattern, other, name) for other in group]
                if all(sibling in place for sibling in siblings):
                    return place[siblings[0]], rank
        return place[name], 0

    return sorted(ordered, key=key)


def write(
    path: Path,
    tensors: dict[str, NDArray[Any]],
    report: Callable[[float], None],
) -> None:
    """Write `tensors` to `path` in the order given, and wait until the disk has them.

    `report` gets the fraction written.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": _DTYPES[str(tensor.dtype)],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw = raw.ljust(math.ceil((8 + len(raw)) / ALIGNMENT) * ALIGNMENT - 8)
    written = 0
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
            written += tensor.nbytes
            report(written / max(offset, 1))
        file.flush()
        os.fsync(file.fileno())


def _truncated(path: Path, size: int, promised: int) -> str:
    return (
        f"{path} is truncated: {size:,} bytes where its header promises {promised:,}; "
        "get the file again"
    )


def bytes_per_pass(folder: Path) -> int:
    """How many bytes of float32 weights one token's pass reads, its logits included.

    Of an embedding only one line is read, unless it is the head as well.
    """
    layers = head = embedding = 0
    for path in folder.glob("*.safetensors"):
        for name, entry in read_header(path).tensors.items():
            size = 4 * math.prod(entry["shape"])
            if _HEAD.search(name):
                head = size
            elif _EMBEDDING.search(name):
                embedding = max(embedding, size)
            elif not _NO_WEIGHT.search(name):
                layers += size
    tied = json.loads((folder / "config.json").read_bytes()).get("tie_word_embeddings", False)
    return layers + (head if head and not tied else embedding)
