"""What a GGUF file says about its model, read without the libraries that made it.

Format: the GGUF specification, versions 2 and 3, little-endian: magic, version, number of
tensors, number of entries, then key, type and value of each entry.
"""

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from likely.models.reporting import ModelError

_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_LENGTH = struct.Struct("<Q")
_TYPE = struct.Struct("<I")


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the entries of the GGUF file `path`: numbers, texts, and lists of them.

    Raises `ModelError` where it is no GGUF file, of a version that is not known, or cut short.
    """
    with path.open("rb") as file:
        start = file.read(8)
        if start[:4] != b"GGUF":
            raise ModelError(f"{path} is no GGUF file: get the file again, or name another")
        if len(start) == 8 and (version := _TYPE.unpack_from(start, 4)[0]) not in _VERSIONS:
            raise ModelError(
                f"{path} is of GGUF version {version}, which Likely does not read: "
                "get a newer file of the model"
            )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Reader(data).entries()
            except (struct.error, ValueError, KeyError, RecursionError) as error:
                raise ModelError(
                    f"{path} is truncated or corrupt ({error}): get the file again"
                ) from error


class _Reader:
    """A place in the data of a file, moving on as values are read."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 16  # behind magic, version and the number of tensors

    def entries(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._length()):
            key = self._string()
            found[key] = self._value(self._type())
        return found

    def _length(self) -> int:
        (value,) = _LENGTH.unpack_from(self._data, self._at)
        self._at += 8
        return int(value)

    def _type(self) -> int:
        (value,) = _TYPE.unpack_from(self._data, self._at)
        self._at += 4
        return int(value)

    def _string(self) -> str:
        data = self._taken(self._length())
        # Names of tokens are text; what is not must not be lost before it is looked at.
        return data.decode("utf-8", "replace")

    def _taken(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise ValueError("it ends too early")
        self._at += size
        return data

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array()
        return self._numbers(kind, 1)[0]

    def _array(self) -> list[Any]:
        kind, count = self._type(), self._length()
        if kind in _NUMBERS:
            return self._numbers(kind, count)
        read: Callable[[], Any] = self._string if kind == _STRING else self._array
        if count > len(self._data):
            raise ValueError("it ends too early")
        return [read() for _ in range(count)]

    def _numbers(self, kind: int, count: int) -> list[Any]:
        dtype = np.dtype(_NUMBERS[kind])
        numbers: list[Any] = np.frombuffer(self._taken(count * dtype.itemsize), dtype).tolist()
        return numbers
