"""The extension's manifest offers exactly the server's settings, with its defaults and ranges."""

import json
from pathlib import Path
from typing import Any

import pytest

import likely
from likely.settings import SECTION, SPECIFICATION, Setting

MANIFEST = json.loads((Path(__file__).parents[2] / "package.json").read_text("utf-8"))
PROPERTIES: dict[str, dict[str, Any]] = MANIFEST["contributes"]["configuration"]["properties"]
CLIENT_ONLY = {"enabled", "languages", "server.path", "server.python", "trace.server"}
JSON_TYPES = {"characters": "array"}


def test_the_names_are_the_servers_and_the_clients_own() -> None:
    names = {name.removeprefix(f"{SECTION}.") for name in PROPERTIES}
    assert names - CLIENT_ONLY == {setting.name for setting in SPECIFICATION}


@pytest.mark.parametrize("setting", SPECIFICATION, ids=lambda setting: setting.name)
def test_a_setting_is_described_as_the_server_has_it(setting: Setting) -> None:
    offered = PROPERTIES[f"{SECTION}.{setting.name}"]
    kind = JSON_TYPES.get(setting.kind, setting.kind)
    assert offered["type"] == ([kind, "null"] if setting.nullable else kind)
    default = setting.default
    assert offered["default"] == (list(default) if isinstance(default, tuple) else default)
    assert offered.get("minimum") == setting.minimum
    assert offered.get("maximum") == setting.maximum
    assert offered.get("enum") == (list(setting.choices) if setting.choices else None)
    assert offered["markdownDescription"] == setting.description
    assert len(offered.get("enumDescriptions", [])) == len(setting.choices or ())


def test_a_workspace_that_is_not_trusted_chooses_no_program_model_or_network_access() -> None:
    restricted = MANIFEST["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    assert {name.removeprefix(f"{SECTION}.") for name in restricted} == {
        "cacheDirectory",
        "model",
        "offline",
        "revision",
        "server.path",
        "server.python",
    }
    for name in ("cacheDirectory", "server.path", "server.python"):
        assert PROPERTIES[f"{SECTION}.{name}"]["scope"] == "machine"


def test_extension_and_server_have_one_version() -> None:
    assert MANIFEST["version"] == likely.__version__
