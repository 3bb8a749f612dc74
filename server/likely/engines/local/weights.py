"""Named tensors of a model folder, mapped from its safetensors files.

Format: the safetensors specification (an 8-byte little-endian length, a JSON header with
dtype, shape and byte range per tensor, then the data).
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Weights:
    """The tensors of one model, read where they lie.

    On the CPU in their stored precision they stay in the file's memory map, which other
    processes share; otherwise they are converted once.
    """

    def __init__(self, folder: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._mapped: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            self._mapped.update(_map(path))

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """The names and tensors, as they are stored."""
        return iter(self._mapped.items())

    def __contains__(self, name: str) -> bool:
        """Whether the model has a tensor of this name."""
        return name in self._mapped

    def get(self, name: str) -> Tensor:
        """One tensor; raises KeyError where the model lacks it."""
        return self._mapped[name].to(device=self._device, dtype=self._dtype)

    def stacked(self, names: Sequence[str]) -> Tensor:
        """Several tensors one below the other, shape (sum of rows, ...).

        Without a copy where they lie next to each other in the file in this order.
        """
        parts = [self._mapped[name] for name in names]
        first = parts[0]
        expected = first.data_ptr()
        adjacent = True
        for part in parts:
            adjacent = adjacent and part.data_ptr() == expected and part.dtype == first.dtype
            expected += part.numel() * part.element_size()
        if not adjacent:
            return torch.cat([self.get(name) for name in names])
        rows = sum(part.shape[0] for part in parts)
        whole = first.as_strided((rows, *first.shape[1:]), first.stride())
        return whole.to(device=self._device, dtype=self._dtype)


def first_broken(
    tensors: Iterable[tuple[str, Tensor]], seen: Callable[[int], None] = lambda _size: None
) -> str | None:
    """The name of the first tensor that holds NaN or infinity, None where all are numbers.

    Reads everything once, as a first pass does; `seen` is told the bytes read after each tensor.
    """
    for name, tensor in tensors:
        if tensor.is_floating_point() and tensor.numel() and not _all_finite(tensor):
            return name
        seen(tensor.numel() * tensor.element_size())
    return None


def _all_finite(tensor: Tensor) -> bool:
    # One such value shows in the sum, which is the fastest where nothing must be widened; but
    # a sum may also overflow.
    if tensor.dtype in (torch.float32, torch.float64) and math.isfinite(tensor.sum().item()):
        return True
    return all(math.isfinite(end.item()) for end in tensor.aminmax())


def _map(path: Path) -> dict[str, Tensor]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    # shared=False maps copy-on-write: nothing here can ever write to the model's file.
    data = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _DTYPES:
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        dtype = _DTYPES[entry["dtype"]]
        raw = data[begin:end]
        # Unaligned data cannot be viewed; files written by old tools may have some.
        aligned = raw if begin % dtype.itemsize == 0 else raw.clone()
        tensors[name] = aligned.view(dtype).view(entry["shape"])
    return tensors
