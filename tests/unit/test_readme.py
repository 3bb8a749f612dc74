"""The documents say what the code does."""

import json
import re
from pathlib import Path

import pytest

import likely
from likely.cli import commands
from likely.declaration import Setting
from likely.settings import SPECIFICATION

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "server" / "SETTINGS.md").read_text(encoding="utf-8")
EDITORS = (ROOT / "client" / "EDITORS.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "server" / "ARCHITECTURE.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    path
    for folder in (".", "server", "client", "tests/bench", ".github")
    for path in (ROOT / folder).glob("*.md")
)


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
    table = settings_table()
    assert table in SETTINGS, f"put this table into server/SETTINGS.md:\n{table}"


def test_the_readme_is_a_page() -> None:
    assert len(README.splitlines()) <= 150


def test_every_command_is_named() -> None:
    for name in commands.commands:
        assert f"`likely {name}" in README, name


def test_neovim_is_shown_as_tested() -> None:
    tested = (ROOT / "tests/editors/neovim/likely.lua").read_text(encoding="utf-8").strip()
    assert f"```lua\n{tested}\n```" in EDITORS


def anchors(path: Path) -> set[str]:
    """What can be linked to in a document, as GitHub names headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https:", "command:")):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), f"{path.name}: {target}"
        assert not anchor or anchor in anchors(linked), f"{path.name}: {target}"


def test_files_that_the_architecture_names_are_there() -> None:
    for name in re.findall(r"`((?:server/|tests/)?[\w/]+\.(?:py|md|json))`", ARCHITECTURE):
        found = (ROOT / name).exists() or any((ROOT / "server" / "likely").rglob(name))
        assert found or any((ROOT / "tests").rglob(name)), name


def test_the_citation_is_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {likely.__version__}\n" in citation
