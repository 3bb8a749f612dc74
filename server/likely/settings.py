"""Options as a client sends them -> frozen, clamped Settings.

`SPECIFICATION` is the one list of settings: names, types, ranges, defaults and descriptions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never, cast, get_args

SECTION = "likely"

Device = Literal["auto", "cpu", "cuda", "mps"]
DocumentStart = Literal["auto", "none", "bos", "space"]
Mode = Literal["exact", "raw"]
Unit = Literal["token", "word"]
Kind = Literal["boolean", "integer", "number", "string", "characters"]

# What a word ends with in prose and code: where a client stops asking by itself.
TRIGGER_CHARACTERS = tuple(" .,;:!?'\"()[]{}<>/\\|-+*=&%@#$_`~^")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name inside the section, and what a value has to be."""

    name: str
    kind: Kind
    default: object
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    nullable: bool = False


SPECIFICATION: tuple[Setting, ...] = (
    Setting(
        "model",
        "string",
        "smollm2-135m",
        "The language model: `smollm2-135m` (the default, fetched once), a Hugging Face id such"
        " as `distilgpt2`, a folder with a model, or a `.gguf` file.",
    ),
    Setting(
        "revision",
        "string",
        None,
        "Branch, tag or commit of a Hugging Face model.",
        nullable=True,
    ),
    Setting("k", "integer", 10, "How many candidates a list shows.", minimum=1, maximum=100),
    Setting(
        "device",
        "string",
        "auto",
        "Where the model runs; `auto` takes an accelerator where there is one.",
        choices=get_args(Device),
    ),
    Setting(
        "threads",
        "integer",
        0,
        "Processor threads that the model may use; 0 chooses by the machine.",
        minimum=0,
        maximum=1024,
    ),
    Setting(
        "contextTokens",
        "integer",
        512,
        "How many tokens before the cursor the model sees while you type, at least: up to half as "
        "many again, and at most what it was made for.",
        minimum=16,
        maximum=1_000_000,
    ),
    Setting(
        "documentStart",
        "string",
        "auto",
        "What stands before the first token of a document: nothing (`none`), the separator that"
        " the model was trained with (`bos`), a space (`space`), or what suits the model (`auto`).",
        choices=get_args(DocumentStart),
    ),
    Setting("completion.enabled", "boolean", True, "Offer completions."),
    Setting(
        "completion.triggerCharacters",
        "characters",
        TRIGGER_CHARACTERS,
        "Characters that open the list when typed; inside words most editors ask by themselves.",
    ),
    Setting(
        "completion.minProbability",
        "number",
        0.0,
        "Hide candidates less likely than this (0 to 1); the shown figures stay as they are.",
        minimum=0.0,
        maximum=1.0,
    ),
    Setting(
        "completion.mode",
        "string",
        "exact",
        "`exact`: conditioned on the characters typed, right in the middle of a word; `raw`: the"
        " textbook distribution after the tokenized text.",
        choices=get_args(Mode),
    ),
    Setting(
        "completion.unit",
        "string",
        "token",
        "What a candidate is: one `token`, or a whole `word` (its probability is a lower bound).",
        choices=get_args(Unit),
    ),
    Setting(
        "completion.topP",
        "number",
        1.0,
        "Show only the likeliest candidates that together reach this probability (0 to 1); the"
        " shown figures stay as they are.",
        minimum=0.0,
        maximum=1.0,
    ),
    Setting(
        "completion.continueAfterAccept",
        "boolean",
        True,
        "Open the next list after a candidate is accepted, where the editor can.",
    ),
    Setting("hover.enabled", "boolean", True, "Show the probability of the token under the mouse."),
    Setting(
        "hover.k",
        "integer",
        5,
        "How many expected tokens a hover shows.",
        minimum=1,
        maximum=100,
    ),
    Setting(
        "lookAhead",
        "boolean",
        True,
        "Compute the next likely answers while you pause; off saves power.",
    ),
    Setting("offline", "boolean", False, "Never use the network; only models already here."),
    Setting(
        "cacheDirectory",
        "string",
        None,
        "Where converted models are kept; empty for the system's cache folder.",
        nullable=True,
    ),
)


_GROUPS = ("completion", "hover")


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """`likely.completion.*`."""

    enabled: bool
    trigger_characters: tuple[str, ...]
    min_probability: float
    mode: Mode
    unit: Unit
    top_p: float
    continue_after_accept: bool


@dataclass(frozen=True, slots=True)
class HoverSettings:
    """`likely.hover.*`."""

    enabled: bool
    k: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, each within its range."""

    model: str
    revision: str | None
    k: int
    device: Device
    threads: int
    context_tokens: int
    document_start: DocumentStart
    completion: CompletionSettings
    hover: HoverSettings
    look_ahead: bool
    offline: bool
    cache_directory: Path | None


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
    for setting in SPECIFICATION:
        value = flat.get(setting.name)
        if value is None:
            # An object where a value belongs was flattened away: it is malformed, not absent.
            if any(name.startswith(f"{setting.name}.") for name in flat):
                messages.append(_message(setting, "an object", setting.default))
            values[setting.name] = setting.default
            continue
        corrected = _corrected(setting, value)
        # True == 1 == 1.0 in Python; the type is part of what must be kept.
        if corrected != _accepted(value) or isinstance(corrected, bool) != isinstance(value, bool):
            messages.append(_message(setting, _show(value), corrected))
        values[setting.name] = corrected
    return _settings(values), messages


def _settings(values: Mapping[str, Any]) -> Settings:
    directory = values["cacheDirectory"]
    return Settings(
        model=values["model"],
        revision=values["revision"] or None,
        k=values["k"],
        device=values["device"],
        threads=values["threads"],
        context_tokens=values["contextTokens"],
        document_start=values["documentStart"],
        completion=CompletionSettings(
            enabled=values["completion.enabled"],
            trigger_characters=values["completion.triggerCharacters"],
            min_probability=values["completion.minProbability"],
            mode=values["completion.mode"],
            unit=values["completion.unit"],
            top_p=values["completion.topP"],
            continue_after_accept=values["completion.continueAfterAccept"],
        ),
        hover=HoverSettings(enabled=values["hover.enabled"], k=values["hover.k"]),
        look_ahead=values["lookAhead"],
        offline=values["offline"],
        cache_directory=Path(directory).expanduser() if directory else None,
    )


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


def _accepted(value: object) -> object:
    """`value` as it compares with a corrected one."""
    return tuple(value) if isinstance(value, list) else value


def _corrected(setting: Setting, value: object) -> object:
    """The nearest sensible value."""
    match setting.kind:
        case "boolean":
            return _boolean(setting, value)
        case "integer" | "number":
            return _number(setting, value)
        case "string":
            return _string(setting, value)
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
    if not value.strip() and not setting.nullable:
        return setting.default
    return value


def _characters(setting: Setting, value: object) -> object:
    if not isinstance(value, list | tuple | str):
        return setting.default
    characters = [c for c in cast("list[object]", list(value)) if isinstance(c, str)]
    single = [c for c in characters if len(c) == 1 and not "\ud800" <= c <= "\udfff"]
    return tuple(dict.fromkeys(single))


def defaults() -> Settings:
    """The settings of a client that sends none."""
    return parse({})[0]
