"""Options as sent -> settings, with a message for everything that had to be corrected."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likely.declaration import settings_of
from likely.settings import SPECIFICATION, TRIGGER_CHARACTERS, flatten, parse


def value_of(group: Any, name: str) -> Any:
    """A value by the name that clients use."""
    for field in dataclasses.fields(group):
        value = getattr(group, field.name)
        if "setting" in field.metadata:
            if field.metadata["setting"].name == name:
                return value
        elif dataclasses.is_dataclass(value) and any(
            s.name == name for s in settings_of(type(value))
        ):
            return value_of(value, name)
    raise KeyError(name)


def nested(name: str, value: object) -> dict[str, Any]:
    *parents, last = name.split(".")
    raw: dict[str, Any] = {last: value}
    for parent in reversed(parents):
        raw = {parent: raw}
    return raw


@pytest.mark.parametrize("raw", [None, {}, {"server": {"path": "x"}, "languages": ["*"]}])
def test_what_is_not_said_is_the_default(raw: object) -> None:
    settings, messages = parse(raw)
    assert messages == []
    for setting in SPECIFICATION:
        assert value_of(settings, setting.name) == setting.default


def test_the_defaults_are_those_of_the_design() -> None:
    settings = parse({})[0]
    assert (settings.model, settings.device, settings.threads) == ("smollm2-135m", "auto", 0)
    cursor = settings.cursor
    assert (cursor.k, cursor.context_tokens, cursor.document_start) == (10, 512, "auto")
    assert (cursor.mode, cursor.unit) == ("exact", "token")
    assert (cursor.min_probability, cursor.top_p) == (0.0, 1.0)
    assert settings.completion.enabled
    assert settings.completion.continue_after_accept
    assert settings.hover.enabled
    assert settings.hover.k == 5
    assert settings.look_ahead
    assert not settings.offline
    assert " " in TRIGGER_CHARACTERS


@pytest.mark.parametrize(
    ("name", "given", "used"),
    [
        ("model", "distilgpt2", "distilgpt2"),
        ("revision", "main", "main"),
        ("k", 100, 100),
        ("k", 5.0, 5),
        ("threads", 4, 4),
        ("device", "mps", "mps"),
        ("documentStart", "space", "space"),
        ("contextTokens", 2048, 2048),
        ("completion.enabled", False, False),
        ("completion.minProbability", 0.01, 0.01),
        ("completion.minProbability", 1, 1.0),
        ("completion.mode", "raw", "raw"),
        ("completion.unit", "word", "word"),
        ("completion.topP", 0, 0.0),
        ("completion.triggerCharacters", [" ", "😀"], (" ", "😀")),
        ("completion.triggerCharacters", [], ()),
        ("hover.k", 1, 1),
        ("lookAhead", False, False),
        ("revision", "", None),
        ("revision", None, None),
        ("cacheDirectory", "", None),
        ("cacheDirectory", "/models", Path("/models")),
        ("cacheDirectory", "~/models", Path.home() / "models"),
        ("k", None, 10),
    ],
)
def test_a_good_value_is_taken_nested_or_dotted(name: str, given: object, used: object) -> None:
    for raw in (nested(name, given), {name: given}):
        settings, messages = parse(raw)
        assert messages == []
        found = value_of(settings, name)
        assert found == used
        assert type(found) is type(used)


@pytest.mark.parametrize(
    ("name", "given", "used"),
    [
        ("k", 0, 1),
        ("k", -3, 1),
        ("k", 1000, 100),
        ("k", "7", 7),
        ("k", "many", 10),
        ("k", 2.6, 3),
        ("k", True, 10),
        ("k", [5], 10),
        ("k", {"value": 5}, 10),
        ("k", float("nan"), 10),
        ("k", float("inf"), 100),
        ("k", 10**400, 10),
        ("threads", -1, 0),
        ("contextTokens", 1, 16),
        ("model", "", "smollm2-135m"),
        ("model", 3, "smollm2-135m"),
        ("model", "a\0b", "smollm2-135m"),
        ("device", "CPU", "cpu"),
        ("device", "tpu", "auto"),
        ("documentStart", False, "auto"),
        ("completion.mode", "Exact ", "exact"),
        ("completion.enabled", "false", False),
        ("completion.enabled", 0, False),
        ("completion.enabled", "perhaps", True),
        ("completion.minProbability", 1.5, 1.0),
        ("completion.minProbability", "0,5", 0.0),
        ("completion.topP", -0.5, 0.0),
        ("completion.triggerCharacters", " .", (" ", ".")),
        ("completion.triggerCharacters", ["a", "bc", 3, "", "\ud800"], ("a",)),
        ("completion.triggerCharacters", 7, TRIGGER_CHARACTERS),
        ("revision", 7, None),
        ("cacheDirectory", "~nosuchuser/models", None),
        ("hover.k", 101, 100),
    ],
)
def test_a_bad_value_becomes_the_nearest_and_a_message(
    name: str, given: object, used: object
) -> None:
    settings, messages = parse(nested(name, given))
    found = value_of(settings, name)
    assert found == used
    assert type(found) is type(used)
    (message,) = messages
    assert message.startswith(f"likely.{name}: expected ")
    message.encode()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("k=5", "likely: expected an object of settings, not 'k=5'"),
        ([1], "likely: expected an object of settings, not [1]"),
        (
            {"completion": False},
            "likely.completion: expected an object of settings, not false",
        ),
        ({"k": 500}, "likely.k: expected a whole number from 1 to 100, not 500; using 100"),
        (
            {"device": "gpu"},
            "likely.device: expected one of auto, cpu, cuda, mps, not 'gpu'; using the default",
        ),
    ],
)
def test_a_message_names_the_setting_and_what_it_should_be(raw: object, message: str) -> None:
    settings, messages = parse(raw)
    assert messages == [message]
    assert settings.completion == parse({})[0].completion
    assert settings.cursor.mode == "exact"


def test_every_bad_value_has_its_message() -> None:
    _, messages = parse({"k": 0, "hover": {"k": "x"}, "completion.topP": 3})
    assert [message.split(":")[0] for message in messages] == [
        "likely.k",
        "likely.completion.topP",
        "likely.hover.k",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
names = st.sampled_from([setting.name for setting in SPECIFICATION] + ["completion", "hover", "x"])


@given(json_values | st.dictionaries(names, json_values))
def test_whatever_is_sent_settings_are_in_range(raw: object) -> None:
    settings, _ = parse(raw)
    for setting in SPECIFICATION:
        value = value_of(settings, setting.name)
        if setting.choices is not None:
            assert value in setting.choices
        if setting.minimum is not None and setting.maximum is not None:
            assert setting.minimum <= value <= setting.maximum
    # Good settings are a fixed point.
    again = {s.name: value_of(settings, s.name) for s in SPECIFICATION}
    again["cacheDirectory"] = str(settings.cache_directory or "")
    assert parse(again) == (settings, [])


def test_flattening_gives_dotted_names() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d.e": 2}) == {"a.b.c": 1, "d.e": 2}


@pytest.mark.parametrize("setting", SPECIFICATION, ids=lambda setting: setting.name)
def test_a_setting_is_documented_and_its_default_is_good(setting: Any) -> None:
    assert setting.description.endswith(".")
    json.dumps(setting.default)
    assert parse({setting.name: setting.default})[1] == []
