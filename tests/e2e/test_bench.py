"""The editor of `likely bench` and a real server process."""

import sys
from collections.abc import Sequence

import pytest

from likely.benchmark.editor import Editor
from likely.models.reporting import ModelError
from lsp_client import FAKE_SERVER


async def test_an_editor_opens_types_and_ends_its_server() -> None:
    async with Editor({"model": "fake", "k": 3}, FAKE_SERVER) as editor:
        assert editor.started < editor.initialized
        opened = await editor.open("One line.\nThis weekend I plan to")
        assert [item["data"]["probability"] for item in opened] == pytest.approx(
            [0.4, 0.2, 0.1], abs=1e-4
        )
        typed = await editor.press("One line.\nThis weekend I plan to", " ")
        assert typed[0]["textEdit"]["newText"].endswith("visit")
    assert editor.process.returncode == 0


@pytest.mark.parametrize(
    ("command", "model", "message"),
    [
        (FAKE_SERVER, "missing", "there is no model missing"),
        ((sys.executable, "-c", "pass"), "fake", "run `likely doctor`"),
    ],
)
async def test_a_server_that_cannot_answer_says_why(
    command: Sequence[str], model: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        async with Editor({"model": model}, command):
            pass
