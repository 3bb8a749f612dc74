"""The table in a real notebook: a kernel of its own, as Jupyter starts it."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import tiny_models

PATIENCE = 300
CALL = "predict_next_tokens('I plan to', k=3, model={model!r})"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What the cells of a notebook show: the value, the same again, and it printed."""
    folder: Path = tiny_models.write_llama(tmp_path_factory.mktemp("model") / "tiny")
    call = CALL.format(model=str(folder))
    cells = [
        # As slow as a first start, when progress is told.
        "import likely.terminal\nlikely.terminal._PATIENCE_SECONDS = -1.0",
        f"from likely import predict_next_tokens\n{call}",
        call,
        f"print({call})",
    ]
    new: Any = nbformat.v4
    notebook = new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=PATIENCE, startup_timeout=PATIENCE).execute()
    return [list(cell.outputs) for cell in notebook.cells]


def test_the_table_is_shown_once(outputs: list[list[Any]]) -> None:
    for cell in outputs[1:3]:
        (shown,) = [output for output in cell if output.output_type != "stream"]
        assert shown.output_type == "execute_result"
        assert shown.data["text/html"].count("<table") == 1
        lines = shown.data["text/plain"].splitlines()
        assert [line.split()[0] for line in lines[:5]] == ["#", "1", "2", "3", "rest"]
        assert "█" in lines[1]


def test_progress_is_a_line_and_no_warning(outputs: list[list[Any]]) -> None:
    told = [output for output in outputs[1] if output.output_type == "stream"]
    assert {output.name for output in told} == {"stderr"}
    lines = "".join(output.text for output in told).splitlines()
    assert [line.split()[0] for line in lines] == ["Loading", "Warming"]
    assert [output for output in outputs[2] if output.output_type == "stream"] == []


def test_printed_it_is_the_plain_table(outputs: list[list[Any]]) -> None:
    (printed,) = outputs[3]
    assert printed.output_type == "stream"
    assert printed.text == outputs[2][0].data["text/plain"] + "\n"
