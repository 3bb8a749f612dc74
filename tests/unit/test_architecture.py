"""The arrows between the packages run one way, and each big library has one importer."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import likely

ROOT = Path(likely.__file__).parent
PACKAGES = ("text", "model", "prediction", "lsp")

# Which parts of the project a part may import, besides itself.
ALLOWED = {
    "text": set[str](),
    "prediction": {"text"},
    "model": {"text"},
    "lsp": {"text", "prediction", "settings", "__init__"},
    "settings": set[str](),
}
# What prediction asks of a model: the seam that the model package fits into.
PROTOCOL = "likely.prediction.protocol."
# Libraries that only one package may import.
OWNED = {
    "pygls": "lsp",
    "lsprotocol": "lsp",
    "torch": "model",
    "transformers": "model",
    "safetensors": "model",
    "gguf": "model",
    "huggingface_hub": "model",
    "accelerate": "model",
}
STANDARD_LIBRARY = frozenset(__import__("sys").stdlib_module_names)
ALLOWED_LIBRARIES = {
    "text": {"tokenizers", "numpy"},
    "prediction": {"numpy"},
    "settings": set[str](),
}


def part_of(path: Path) -> str:
    """The package or top-level module that a file belongs to."""
    first = path.relative_to(ROOT).parts[0]
    return first if first in PACKAGES else path.stem


def imported_by(path: Path) -> Iterator[str]:
    """The full names of everything a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a thing comes from"
            assert node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


FILES = sorted(ROOT.rglob("*.py"))
PARTS = {part_of(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    for name in imported_by(path):
        top, *rest = name.split(".")
        owner = OWNED.get(top)
        assert owner in (None, part), f"{path}: only {owner} imports {top}"
        if top == "likely" and part in ALLOWED:
            # `from likely import x` names a part, or a name of the package itself.
            target = rest[0] if rest[0] in PARTS else "__init__"
            seam = part == "model" and name.startswith(PROTOCOL)
            allowed = seam or target in ALLOWED[part] | {part}
            assert allowed, f"{path}: {part} must not import {name}"
        elif part in ALLOWED_LIBRARIES and top not in STANDARD_LIBRARY:
            assert top in ALLOWED_LIBRARIES[part], f"{path}: {part} must not import {top}"


def test_the_check_sees_every_package() -> None:
    assert {*PACKAGES, "settings", "cli"} <= PARTS
