"""The real Emacs with eglot, typed into at a terminal, as client/EDITORS.md configures it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from likely.models import sources
from likely.models.store import cache_directory

T = TypeVar("T")
Shown = list[tuple[str, str]]

CONFIGURATION = Path(__file__).parent / "likely.el"
EDITORS = Path(__file__).parents[3] / "client" / "EDITORS.md"
PATIENCE = 180.0
PHRASE = "This weekend I plan to"

COMPLETE = "C-M-i"
ITEM = re.compile(r"(\S+) (<?\d+\.\d\d%)")


class Emacs:
    """A running Emacs: keys go to its terminal, questions about its state to its server."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self._environment = environment
        self._opened = 0
        self._tmux = ["tmux", "-S", str(home / "tmux"), "-f", os.devnull]
        listen = f"(progn (setq server-name {_lisp(str(home / 'emacs'))}) (server-start))"
        start = shlex.join(["emacs", "-nw", "--eval", listen])
        self._run(*self._tmux, "new-session", "-d", "-x", "120", "-y", "40", "-c", str(home), start)

    def press(self, *keys: str) -> None:
        """Press keys in tmux's notation."""
        self._run(*self._tmux, "send-keys", *keys)

    def type(self, text: str) -> None:
        """Type text as it stands, and wait until it is there."""
        expected = self.before() + text
        self._run(*self._tmux, "send-keys", "-l", text)
        self.wait(lambda: self.before() == expected)

    def command(self, name: str) -> None:
        """Run a command by its name."""
        self.press("M-x")
        self.wait(lambda: self.before() == "M-x ")
        self.type(name)
        self.press("Enter")

    def open(self, content: str = "") -> Path:
        """Open a new file at its end and wait until the language server has it."""
        self._opened += 1
        path = self.home / f"{self._opened}.txt"
        path.write_bytes(content.encode())
        self.press("C-x", "C-f")
        self.wait(lambda: self.before().startswith("Find file: "))
        self.press("C-a", "C-k")
        self.type(str(path))
        self.press("Enter")
        managed = f"(equal (buffer-name) {_lisp(path.name)}) (eglot-current-server)"
        self.wait(lambda: self.ask(f"(if (and {managed}) t)"))
        self.press("M->")
        self.wait(lambda: self.ask("(eobp)"))
        return path

    def ask(self, expression: str) -> Any:
        """The value of an expression in the buffer that the user sees; None before Emacs is up."""
        inside = f"(with-current-buffer (window-buffer) (json-encode {expression}))"
        reply = self._run("emacsclient", "--socket-name", str(self.home / "emacs"), "-e", inside)
        # The reply is a Lisp string: only backslashes and quotes are escaped in it.
        return json.loads(re.sub(r"\\(.)", r"\1", reply.strip()[1:-1])) if reply else None

    def before(self) -> str:
        return str(self.ask("(buffer-substring-no-properties (point-min) (point))"))

    def after(self) -> str:
        return str(self.ask("(buffer-substring-no-properties (point) (point-max))"))

    def screen(self) -> str:
        return self._run(*self._tmux, "capture-pane", "-p")

    def shown(self) -> Shown:
        """Labels and figures in the list of completions, in reading order."""
        _, _, below = self.screen().partition("Possible completions are:\n")
        return ITEM.findall(below.partition("*Completions*")[0])

    def complete(self) -> Shown:
        """Ask for the list of completions."""
        self.press("C-x", "1")
        self.wait(lambda: self.ask("(one-window-p)"))
        self.press(COMPLETE)
        return self.wait(self.shown)

    def accept(self) -> None:
        """Choose the first completion of the list."""
        self.command("switch-to-completions")
        self.wait(lambda: self.ask("(derived-mode-p 'completion-list-mode)"))
        self.press("Enter")
        self.wait(lambda: self.ask("(derived-mode-p 'text-mode)"))

    def answered(self) -> Shown:
        """Labels and figures in the server's own answer at the cursor."""
        request = (
            "(jsonrpc-request (eglot-current-server) :textDocument/completion"
            " (eglot--TextDocumentPositionParams) :deferred t)"
        )
        return [(item["label"], item["detail"]) for item in self.ask(request)["items"]]

    def wait(self, condition: Callable[[], T]) -> T:
        """Wait until the condition holds, and return what it gave."""
        end = time.monotonic() + PATIENCE
        while not (met := condition()):
            assert time.monotonic() < end, f"it did not come true; the screen:\n{self.screen()}"
            time.sleep(0.1)
        return met

    def end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], env=self._environment, check=False)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout


def _lisp(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def percentages(shown: Shown) -> list[float]:
    return [float(figure.lstrip("<").rstrip("%")) for _, figure in shown]


def eglot_is_missing() -> str:
    """Why Emacs cannot be tested here, empty where it can."""
    for program in ("emacs", "emacsclient", "tmux"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt-get install emacs-nox tmux)"
    load = ["emacs", "--batch", "--eval", "(package-activate-all)", "--eval", "(require 'eglot)"]
    if subprocess.run(load, capture_output=True, check=False).returncode != 0:
        return "Emacs has no eglot (Debian: apt-get install elpa-eglot)"
    return ""


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emacs]:
    if reason := eglot_is_missing():
        pytest.skip(reason)
    try:
        sources.locate("smollm2-135m")
    except sources.ModelUnavailableError as error:
        pytest.skip(f"the default model cannot be had here: {error}")
    home = tmp_path_factory.mktemp("emacs")
    settings = home / ".emacs.d"
    settings.mkdir()
    shutil.copy(CONFIGURATION, settings / "init.el")
    # Compiling eglot to machine code in the background would compete with the model.
    (settings / "early-init.el").write_text("(setq native-comp-deferred-compilation nil)\n")
    programs = home / "bin"
    programs.mkdir()
    likely = programs / "likely"
    likely.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m likely "$@"\n')
    likely.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LIKELY_CACHE": str(cache_directory()),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TERM": "xterm-256color",
    }
    started = Emacs(home, environment)
    try:
        started.wait(lambda: started.ask("t"))
        started.open(PHRASE)
        started.wait(started.answered)
        yield started
    finally:
        started.end()


def test_the_list_shows_probabilities_in_the_servers_order(editor: Emacs) -> None:
    editor.open()
    editor.type(f"{PHRASE} ")
    shown = editor.complete()
    assert shown == editor.answered()
    assert len(shown) == 10
    assert percentages(shown) == sorted(percentages(shown), reverse=True)
    assert editor.before() == f"{PHRASE} "


def test_a_character_typed_brings_its_own_probabilities(editor: Emacs) -> None:
    editor.open(f"{PHRASE} ")
    first = dict(editor.complete())
    editor.type("sp")
    second = editor.complete()
    assert second == editor.answered()
    assert all(label.startswith("·sp") for label, _ in second)
    assert second[0][0] == "·spend"
    assert percentages(second)[0] > 50
    assert first.get("·spend") != dict(second)["·spend"]


@pytest.mark.parametrize("after", ["", " with friends.\nNext line.\n", "xyz"])
def test_accepting_completes_the_word_and_nothing_else(editor: Emacs, after: str) -> None:
    editor.open(f"{PHRASE} sp{after}")
    editor.ask(f"(goto-char {len(PHRASE) + 4})")
    assert editor.complete()[0][0] == "·spend"
    editor.accept()
    assert editor.before() == f"{PHRASE} spend"
    assert editor.after() == after
    # The server has seen what was accepted.
    assert editor.complete() == editor.answered()


@pytest.mark.parametrize(
    "before",
    [
        "I 😀 smile 🎉🎉. ",
        "Cafe\N{COMBINING ACUTE ACCENT} nai\N{COMBINING DIAERESIS}ve. ",
        "漢字かな交じり文。",
    ],
    ids=["emoji", "combining", "cjk"],
)
def test_positions_count_as_the_server_counts(editor: Emacs, before: str) -> None:
    editor.open()
    editor.type(f"{before}{PHRASE} sp")
    shown = editor.complete()
    assert shown == editor.answered()
    assert shown[0][0] == "·spend"
    editor.accept()
    assert editor.before() == f"{before}{PHRASE} spend"


def test_a_line_end_of_a_dos_file_is_accepted_as_one(editor: Emacs) -> None:
    content = "1. one\r\n2. two\r\n3. three\r\n4. four"
    path = editor.open(content)
    assert editor.complete()[0][0] == "⏎"
    editor.accept()
    editor.press("C-x", "C-s")
    editor.wait(lambda: not editor.ask("(buffer-modified-p)"))
    assert path.read_bytes() == (content + "\r\n").encode()


def test_hover_shows_probability_and_surprisal(editor: Emacs) -> None:
    editor.open(f"{PHRASE} visit")
    editor.press("M-b")
    screen = editor.wait(lambda: "surprisal" in editor.screen() and editor.screen())
    assert re.search(r"probability +\d+\.\d\d% \(raw\)", str(screen))
    assert re.search(r"surprisal +\d+\.\d\d bits", str(screen))
    editor.command("eldoc-doc-buffer")
    editor.wait(lambda: "the model expected here" in editor.screen())


def test_another_k_is_in_force_at_once(editor: Emacs) -> None:
    editor.open(f"{PHRASE} ")
    for k in (3, 12, 10):
        editor.ask(f"(setq-default eglot-workspace-configuration '(:likely (:k {k})))")
        editor.command("eglot-signal-didChangeConfiguration")
        assert len(editor.complete()) == k


def test_the_readme_shows_this_configuration() -> None:
    assert CONFIGURATION.read_text() in EDITORS.read_text()
