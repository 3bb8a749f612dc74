"""These tests need no torch and start no process."""

import sys
from pathlib import Path

HEAVY = {"torch", "transformers", "gguf"}


def test_nothing_here_has_imported_torch(request: object) -> None:
    """What was collected and run so far; other folders may have it at hand in the same run."""
    session = request.session  # type: ignore[attr-defined]
    here = Path(__file__).parent
    if all(here in item.path.parents for item in session.items):
        assert not HEAVY & sys.modules.keys()


def test_no_file_here_names_what_would_import_it() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        if path.name != Path(__file__).name:
            text = path.read_text(encoding="utf-8")
            for name in ("import torch", "import subprocess", "import tiny_models"):
                assert name not in text, f"{path.name}: {name}"
