"""Options as a client sends them -> frozen, clamped Settings.

Each setting is declared once, where it is used or here (`likely.declaration`); `SPECIFICATION` is
the list of all of them: names, types, ranges, defaults and descriptions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, assert_never, cast, get_args

from likely.declaration import Kind, Setting, filled, setting, settings_of
from likely.prediction.options import CursorOptions

SECTION = "likely"

Device = Literal["auto", "cpu", "cuda", "mps"]

# What a word ends with in prose and code: where a client stops asking by itself.
TRIGGER_CHARACTERS = tuple(" .,;:!?'\"()[]{}<>/\\|-+*=&%@#$_`~^")


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """How lists come, beside what they propose."""

    enabled: bool = setting("completion.enabled", True, "Offer completions.")
    trigger_characters: tuple[str, ...] = setting(
        "completion.triggerCharacters",
        TRIGGER_CHARACTERS,
        "Characters that open the list when typed; inside words most editors ask by themselves.",
    )
    continue_after_accept: bool = setting(
        "completion.continueAfterAccept",
        True,
        "Open the next list after a candidate is accepted, where the editor can.",
    )


@dataclass(frozen=True, slots=True)
class HoverSettings:
    """What a hover shows."""

    enabled: bool = setting(
        "hover.enabled", True, "Show the probability of the token under the mouse."
    )
    k: int = setting(
        "hover.k", 5, "How many expected tokens a hover shows.", minimum=1, maximum=100
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, each within its range."""

    model: str = setting(
        "model",
        "smollm2-135m",
        "The language model: `smollm2-135m` (the default, fetched once), a Hugging Face id such"
        " as `distilgpt2`, a folder with a model, or a `.gguf` file.",
    )
    revision: str | None = setting(
        "revision", None, "Branch, tag or commit of a Hugging Face model."
    )
    device: Device = setting(
        "device",
        "auto",
        "Where the model runs; `auto` takes an accelerator where there is one.",
        choices=get_args(Device),
    )
    threads: int = setting(
        "threads",
        0,
        "Processor threads that the model may use; 0 chooses by the machine.",
        minimum=0,
        maximum=1024,
    )
    cursor: CursorOptions = field(default_factory=CursorOptions)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    hover: HoverSettings = field(default_factory=HoverSettings)
    look_ahead: bool = setting(
        "lookAhead", True, "Compute the next likely answers while you pause; off saves power."
    )
    offline: bool = setting("offline", False, "Never use the network; only models already here.")
    cache_directory: Path | None = setting(
        "cacheDirectory",
        None,
        "Where converted models are kept; empty for the system's cache folder.",
        kind="path",
    )


SPECIFICATION: tuple[Setting, ...] = tuple(settings_of(Settings))

_GROUPS = tuple(dict.fromkeys(s.name.split(".")[0] for s in SPECIFICATION if "." in s.name))


def flatten(raw: Mapping[str, object]) -> dict[str, object]:
    """Nested objects and dotted names alike -> one level of dotted names."""
    flat: dict[str, object] = {}
    for name, value in raw.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": v for inner, v in flatten(value).items()})
        else:
            flat[name] = value
    return flat


def parse(raw: object) -> tuple[Settings, list[str]]:
    """Make settings of what a client sent, and a message for every value that was corrected.

    `raw` is the content of the section `likely`, nested or with dotted names; None is empty.
    Names that are no settings of the server are left alone: clients keep their own there.
    """
    messages: list[str] = []
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        messages.append(f"{SECTION}: expected an object of settings, not {_show(raw)}")
        raw = {}
    flat = flatten({str(name): value for name, value in raw.items()})
    for group in _GROUPS:
        if flat.get(group) is not None:
            given = _show(flat[group])
            messages.append(f"{SECTION}.{group}: expected an object of settings, not {given}")
    values: dict[str, Any] = {}
    for declared in SPECIFICATION:
        value = flat.get(declared.name)
        if value is None:
            # An object where a value belongs was flattened away: it is malformed, not absent.
            if any(name.startswith(f"{declared.name}.") for name in flat):
                messages.append(_message(declared, "an object", declared.default))
            values[declared.name] = declared.default
            continue
        corrected = _corrected(declared, value)
        if not _is_kept(declared, value, corrected):
            messages.append(_message(declared, _show(value), corrected))
        values[declared.name] = corrected
    return filled(Settings, values), messages


def _message(setting: Setting, given: str, used: object) -> str:
    return f"{SECTION}.{setting.name}: expected {_expectation(setting)}, not {given}; using " + (
        "the default" if used == setting.default else _show(used)
    )


def _expectation(setting: Setting) -> str:
    if setting.choices is not None:
        return "one of " + ", ".join(setting.choices)
    names: dict[Kind, str] = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
        "path": "a folder",
        "characters": "a list of single characters",
    }
    expectation = names[setting.kind]
    if setting.minimum is not None:
        expectation += f" from {setting.minimum:g}"
    if setting.maximum is not None:
        expectation += f" to {setting.maximum:g}"
    return expectation


def _show(value: object) -> str:
    """A value for a message, short, whatever a client sent."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "".join(value)
    shown = repr(value).encode("utf-8", "replace").decode()
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _is_kept(setting: Setting, value: object, corrected: object) -> bool:
    """Whether a value is in force as it was sent."""
    if setting.nullable and value == "":
        return True
    if isinstance(corrected, Path):
        return isinstance(value, str)
    # True == 1 == 1.0 in Python; the type is part of what must be kept.
    same_type = isinstance(corrected, bool) == isinstance(value, bool)
    return same_type and corrected == (tuple(value) if isinstance(value, list) else value)


def _corrected(setting: Setting, value: object) -> object:
    """The nearest sensible value."""
    match setting.kind:
        case "boolean":
            return _boolean(setting, value)
        case "integer" | "number":
            return _number(setting, value)
        case "string":
            return _string(setting, value)
        case "path":
            return _path(setting, value)
        case "characters":
            return _characters(setting, value)
        case kind:
            assert_never(kind)


def _boolean(setting: Setting, value: object) -> object:
    if isinstance(value, bool):
        return value
    named = {"true": True, "false": False, "1": True, "0": False}
    return named.get(str(value).strip().lower(), setting.default)


def _number(setting: Setting, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return setting.default
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return setting.default
    if math.isnan(number):
        return setting.default
    low = setting.minimum if setting.minimum is not None else -math.inf
    high = setting.maximum if setting.maximum is not None else math.inf
    number = min(max(number, low), high)
    return round(number) if setting.kind == "integer" else number


def _string(setting: Setting, value: object) -> object:
    if not isinstance(value, str) or "\0" in value:
        return setting.default
    if setting.choices is not None:
        folded = value.strip().lower()
        return folded if folded in setting.choices else setting.default
    if not value.strip():
        return setting.default
    return value


def _path(setting: Setting, value: object) -> object:
    text = _string(setting, value)
    try:
        return Path(text).expanduser() if isinstance(text, str) else text
    except RuntimeError:  # the home of a user that does not exist
        return setting.default


def _characters(setting: Setting, value: object) -> object:
    if not isinstance(value, list | tuple | str):
        return setting.default
    characters = [c for c in cast("list[object]", list(value)) if isinstance(c, str)]
    single = [c for c in characters if len(c) == 1 and not "\ud800" <= c <= "\udfff"]
    return tuple(dict.fromkeys(single))


def defaults() -> Settings:
    """The settings of a client that sends none."""
    return parse({})[0]
