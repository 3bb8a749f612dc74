"""The arrows between the parts run one way, and each big library has one importer."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import likely

ROOT = Path(likely.__file__).parent


@dataclass(frozen=True)
class Part:
    """A part of the program: its files, and what they may import besides themselves.

    `files`: paths under the package, folders with all that is in them. `parts`: other parts, or
    single modules of them. `libraries`: besides Python's own; None: any that nobody owns.
    """

    files: tuple[str, ...]
    parts: tuple[str, ...]
    libraries: tuple[str, ...] | None = None


PARTS = {
    "package": Part(("__init__.py", "__main__.py"), ("cli", "next_tokens"), ()),
    "text": Part(("text/",), (), ("numpy", "tokenizers")),
    "prediction": Part(("prediction/",), ("text", "declaration"), ("cachetools", "numpy")),
    "models": Part(
        ("models/",),
        ("text",),
        (
            *("filelock", "gguf", "huggingface_hub", "numpy", "platformdirs", "rich"),
            *("safetensors", "torch", "tqdm", "transformers"),
        ),
    ),
    # What engines know of prediction is what a question is and what a distribution is.
    "engines": Part(
        ("engines/",),
        ("text", "models", "prediction/question", "prediction/distribution"),
        ("cachetools", "numpy", "psutil", "safetensors", "torch", "transformers"),
    ),
    "declaration": Part(("declaration.py",), (), ()),
    "settings": Part(("settings.py",), ("declaration", "prediction/options"), ()),
    "lsp": Part(
        ("lsp/",),
        ("text", "prediction", "settings", "package", "engines/engine", "engines/interruption"),
        ("attrs", "lsprotocol", "psutil", "pygls", "rich"),
    ),
    "next_tokens": Part(
        ("next_tokens.py", "arguments.py"),
        ("text", "prediction", "engines", "models", "terminal"),
    ),
    "terminal": Part(("terminal.py",), ("text", "models"), ("click", "rich")),
    "cli": Part(
        ("cli/",),
        (
            *("package", "text", "prediction", "engines", "models", "settings", "lsp"),
            *("next_tokens", "terminal", "benchmark"),
        ),
    ),
    "benchmark": Part(
        ("benchmark/",),
        ("engines", "models"),
        ("attrs", "numpy", "pygls", "rich"),
    ),
}
# Libraries that only these files may import.
OWNED = {
    "pygls": ("lsp/", "benchmark/editor.py"),  # the other end of the pipes
    "lsprotocol": ("lsp/",),
    "torch": ("engines/", "models/conversion.py"),
    "transformers": ("engines/", "models/conversion.py", "models/checkpoint.py"),
    "safetensors": ("engines/", "models/"),
    "gguf": ("models/",),
    "huggingface_hub": ("models/",),
}
FILES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lies_in(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or (place[-1] == "/" and name.startswith(place)) for place in places)


def parts_of(name: str) -> list[str]:
    """The parts whose files a file is among."""
    return [part for part, rules in PARTS.items() if lies_in(name, rules.files)]


def imported_by(path: Path) -> Iterator[str]:
    """The full names of everything a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a thing comes from"
            assert node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def file_of(imported: str) -> str:
    """The file of ours that an import names: a module, or a module's or package's content."""
    parts = imported.split(".")[1:]
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        if place.with_suffix(".py").is_file():
            return name_of(place.with_suffix(".py"))
        if (place / "__init__.py").is_file():
            return name_of(place / "__init__.py")
    return "__init__.py"


def complaint(path: Path, imported: str) -> str:
    """What is wrong with an import; empty where nothing is."""
    name, (part,) = name_of(path), parts_of(name_of(path))
    rules = PARTS[part]
    library = imported.partition(".")[0]
    if library == "likely":
        target = file_of(imported)
        named = target.removesuffix(".py")
        allowed = (part, *rules.parts)
        if named in allowed or any(other in allowed for other in parts_of(target)):
            return ""
        return f"{part} must not import {target}"
    if library in sys.stdlib_module_names:
        return ""
    if library in OWNED and not lies_in(name, OWNED[library]):
        return f"only {', '.join(OWNED[library])} may import {library}"
    if rules.libraries is not None and library not in rules.libraries:
        return f"{part} must not import {library}"
    return ""


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_belongs_to_one_part(path: Path) -> None:
    assert len(parts_of(name_of(path))) == 1


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    complaints = [complaint(path, imported) for imported in imported_by(path)]
    assert [text for text in complaints if text] == []


@pytest.mark.parametrize("rules", [*(p.files for p in PARTS.values()), *OWNED.values()])
def test_every_rule_is_about_something(rules: tuple[str, ...]) -> None:
    for place in rules:
        assert (ROOT / place).exists(), f"there is no {place} any more"


@pytest.mark.parametrize(
    ("name", "imported", "is_allowed"),
    [
        ("engines/engine.py", "likely.prediction.question.Need", True),
        ("engines/engine.py", "likely.prediction.cursor", False),
        ("engines/engine.py", "likely.prediction", False),
        ("engines/softmax.py", "likely.models.reporting.ModelError", True),
        ("models/store.py", "likely.engines.loading", False),
        ("models/store.py", "likely.prediction.question", False),
        ("models/store.py", "torch", False),
        ("prediction/words.py", "torch", False),
        ("prediction/words.py", "likely.engines.engine.Driver", False),
        ("lsp/session.py", "likely.engines.engine.Work", True),
        ("lsp/session.py", "likely.engines.loading.load", False),
        ("lsp/session.py", "click", False),
        ("cli/serve.py", "pygls.server", False),
        ("text/lines.py", "likely.settings", False),
        ("text/lines.py", "likely.__version__", False),
        ("text/lines.py", "bisect.bisect_right", True),
    ],
)
def test_the_check_can_tell(name: str, imported: str, is_allowed: bool) -> None:
    assert (complaint(ROOT / name, imported) == "") is is_allowed
