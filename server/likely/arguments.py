"""Arguments of the Python functions: checked before any work, with errors that name them."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def text(name: str, value: object) -> bytes:
    """The UTF-8 of a text. Raises TypeError, or ValueError for bytes that are no UTF-8."""
    if isinstance(value, str):
        # By way of UTF-16, where halves of a character that stand together become that character.
        units = value.encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le", "replace").encode()
    if not isinstance(value, bytes):
        raise _wrong_type(name, "str or bytes", value)
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 at byte {error.start}") from None
    return value


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number within bounds. Raises TypeError or ValueError."""
    bounds = f"an int of at least {least}" if most is None else f"an int from {least} to {most:,}"
    try:
        # numpy's integers are welcome; True is a number only to Python.
        number = operator.index(value) if not isinstance(value, bool) else None  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        raise _wrong_type(name, bounds, value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} must be {bounds}, not {number}")
    return number


def choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise TypeError or ValueError unless `value` is one of `choices`."""
    allowed = f"one of {', '.join(map(repr, choices))}"
    if not isinstance(value, str):
        raise _wrong_type(name, allowed, value)
    if value not in choices:
        raise ValueError(f"{name} must be {allowed}, not {value!r}")


def path_or_name(name: str, value: object) -> str:
    """A name, or a path as text. Raises TypeError."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return _of_type(name, value, str, "str or a path")


def optional_name(name: str, value: object) -> str | None:
    """A name or None. Raises TypeError."""
    return None if value is None else _of_type(name, value, str, "str or None")


def truth(name: str, value: object) -> bool:
    """True or False. Raises TypeError."""
    return _of_type(name, value, bool, "bool")


def _of_type(name: str, value: object, wanted: type[T], described: str) -> T:
    if not isinstance(value, wanted):
        raise _wrong_type(name, described, value)
    return value


def _wrong_type(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {value!r}")
