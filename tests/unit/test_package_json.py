"""The extension's manifest offers exactly the server's settings, with its defaults and ranges."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import likely
from likely.declaration import Setting
from likely.settings import SECTION, SPECIFICATION

ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "package.json").read_text("utf-8"))
PROPERTIES: dict[str, dict[str, Any]] = MANIFEST["contributes"]["configuration"]["properties"]
CLIENT_ONLY = {
    "completion.automatic",
    "enabled",
    "languages",
    "quiet",
    "server.path",
    "server.python",
    "trace.server",
}
JSON_TYPES = {"characters": "array", "path": "string"}


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


def test_the_stores_page_lists_the_clients_own_settings_as_the_manifest_has_them() -> None:
    page = (ROOT / "client" / "README.md").read_text(encoding="utf-8")
    row = r"^\| `likely\.(\S+)` *\| (.+?) *\| (.+?) *\|$"
    rows: list[tuple[str, str, str]] = re.findall(row, page, re.MULTILINE)
    # The formatter writes emphasis in its own way.
    meanings = {name: meaning.replace("_", "*") for name, _, meaning in rows}
    assert meanings == {
        name: PROPERTIES[f"{SECTION}.{name}"]["markdownDescription"] for name in CLIENT_ONLY
    }
    for name, default, _ in rows:
        if default.startswith("`"):
            assert json.loads(default.strip("`")) == PROPERTIES[f"{SECTION}.{name}"]["default"]


def test_the_stores_page_shows_its_pictures() -> None:
    page = (ROOT / "client" / "README.md").read_text(encoding="utf-8")
    address = MANIFEST["repository"]["url"].removesuffix(".git")
    raw = address.replace("github.com", "raw.githubusercontent.com") + "/main/"
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", page)
    assert pictures
    for picture in pictures:
        assert picture.startswith(raw)
        assert (ROOT / picture.removeprefix(raw)).is_file()
    assert "<picture" not in page
    assert MANIFEST["homepage"].startswith(address)
    assert MANIFEST["bugs"]["url"].startswith(address)


def test_nothing_of_the_editor_is_changed_but_our_own_settings() -> None:
    for block in MANIFEST["contributes"]["configurationDefaults"].values():
        assert all(name.startswith(f"{SECTION}.") for name in block)


@pytest.mark.parametrize(
    "binding",
    MANIFEST["contributes"]["keybindings"],
    ids=lambda b: f"{b['command']}-{b.get('key')}",
)
def test_a_key_means_something_only_where_likely_is_at_work(binding: dict[str, Any]) -> None:
    """The context keys are false where no server runs."""
    conditions = binding["when"].split(" && ")
    at_work = {"likely.listOpen", "editorLangId in likely.languages"}
    assert at_work & set(conditions) or "editorLangId in likely.automaticLanguages" in conditions
