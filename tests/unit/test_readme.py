"""The README says what the code does."""

import json
from pathlib import Path

from likely.cli import commands
from likely.declaration import Setting
from likely.settings import SPECIFICATION

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def value_text(setting: Setting) -> str:
    if setting.kind == "characters":
        return "space and punctuation"
    return f"`{json.dumps(setting.default)}`"


def allowed_text(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.minimum is not None and setting.maximum is not None:
        return f"{setting.minimum:,} to {setting.maximum:,}"
    kind = {
        "boolean": "`true`, `false`",
        "string": "text",
        "path": "text",
        "characters": "characters",
    }
    return kind[setting.kind] + (" or `null`" if setting.nullable else "")


def settings_table() -> str:
    rows = ["| setting | default | values | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `likely.{setting.name}` | {value_text(setting)} | {allowed_text(setting)} |"
        f" {setting.description} |"
        for setting in SPECIFICATION
    ]
    return "\n".join(rows)


def test_the_settings_table_is_the_servers_own_list() -> None:
    assert settings_table() in README, f"put this table into README.md:\n{settings_table()}"


def test_every_command_is_named() -> None:
    for name in commands.commands:
        assert f"`likely {name}" in README, name


def test_neovim_is_shown_as_tested() -> None:
    tested = (ROOT / "tests/editors/neovim/likely.lua").read_text(encoding="utf-8").strip()
    assert f"```lua\n{tested}\n```" in README
