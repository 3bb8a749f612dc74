"""`likely serve` as users start it, with the real default model."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

import tiny_models
from likely.models import sources
from lsp_client import REAL_SERVER, URI, VSCODE, Client, connected, detail, eventually, shown

PHRASE = "This weekend I plan to"


@pytest.fixture(scope="module")
def model() -> str:
    try:
        sources.locate("smollm2-135m")
    except sources.ModelUnavailableError as error:
        pytest.skip(f"the default model cannot be had here: {error}")
    return "smollm2-135m"


def figures(answer: types.CompletionList) -> dict[str, float]:
    return {item.label: float(detail(item).rstrip("%")) for item in answer.items}


async def test_the_default_model_completes_and_reads(model: str) -> None:
    # The model is the default; only what stands before the text is as in the reference figures.
    options = {"likelyStatus": True, "settings": {"documentStart": "none"}}
    async with connected(VSCODE, REAL_SERVER, options=options) as client:
        client.open(PHRASE)
        await client.ready()
        assert client.statuses[0]["model"] == model
        answer = await client.complete(0, len(PHRASE))
        found = figures(answer)
        assert list(found)[:3] == ["·visit", "·celebrate", "·have"]
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert found["·visit"] == pytest.approx(5.38, abs=0.05)
        resolved = await client.completion_item_resolve_async(answer.items[0])
        assert isinstance(resolved.documentation, types.MarkupContent)
        assert "(exact)" in resolved.documentation.value

        # In the middle of a word, conditioned on the characters typed.
        client.change(" sp", (0, len(PHRASE), 0, len(PHRASE)))
        narrowed = figures(await client.complete(0, len(PHRASE) + 3))
        assert next(iter(narrowed)) == "·spend"
        assert narrowed["·spend"] == pytest.approx(83.9, abs=0.1)

        hover = await client.hover(0, 6)
        assert hover
        assert isinstance(hover.contents, types.MarkupContent)
        assert hover.range == types.Range(types.Position(0, 4), types.Position(0, 12))
        assert "surprisal" in hover.contents.value


async def test_raw_mode_gives_the_textbook_figures(model: str) -> None:
    settings = {"model": model, "completion": {"mode": "raw"}, "documentStart": "none", "k": 5}
    expected = {"·visit": 5.38, "·celebrate": 5.14, "·have": 4.91, "·be": 4.50, "·attend": 4.10}
    async with connected(VSCODE, REAL_SERVER, settings=settings) as client:
        client.open(PHRASE)
        await client.ready()
        assert figures(await client.complete(0, 99)) == pytest.approx(expected, abs=0.011)


async def test_typing_and_accepting_walks_in_the_order_of_the_list(model: str) -> None:
    """Each key narrows the list without reordering what stays; accepting gives exactly the item."""
    async with connected(VSCODE, REAL_SERVER, settings={"model": model, "k": 50}) as client:
        client.open(PHRASE)
        await client.ready()
        before = await client.complete(0, len(PHRASE))
        typed = PHRASE
        for character in " v":
            client.change(character, (0, len(typed), 0, len(typed)))
            typed += character
        after = await client.complete(0, len(typed))
        labels = [item.label for item in after.items]
        kept = [i.label for i in before.items if i.label.startswith("·v") and i.label in labels]
        assert kept
        assert [label for label in labels if label in kept] == kept
        first = after.items[0]
        assert isinstance(first.text_edit, types.TextEdit)
        place = first.text_edit.range
        assert first.filter_text
        assert first.filter_text.startswith(typed[place.start.character :])
        accepted = typed[: place.start.character] + first.text_edit.new_text
        assert accepted == f"{PHRASE} visit"


async def test_a_burst_of_keys_ends_with_the_answer_to_the_last(model: str) -> None:
    async with connected(VSCODE, REAL_SERVER, settings={"model": model}) as client:
        client.open("")
        await client.ready()
        pending: list[asyncio.Future[types.CompletionList]] = []
        for at, character in enumerate(PHRASE):
            client.change(character, (0, at, 0, at))
            pending.append(asyncio.ensure_future(client.complete(0, at + 1)))
        answers = await asyncio.gather(*pending)
        assert shown(answers[-1])[0][0] == "·visit"
        alone = await client.complete(0, len(PHRASE))
        assert figures(answers[-1]) == pytest.approx(figures(alone), abs=0.01)


async def test_initialize_is_answered_before_anything_heavy_is_imported() -> None:
    client = Client()
    client.capabilities = VSCODE.capabilities
    # Says of every module when it is imported; loading would begin with `initialized`.
    await client.start_io(sys.executable, "-X", "importtime", *REAL_SERVER[1:])
    await client.initialize_async(types.InitializeParams(capabilities=VSCODE.capabilities))
    client.process.kill()
    await client.process.wait()
    await client._log_reader
    await client.stop()  # type: ignore[no-untyped-call]
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", client.log.decode(), re.MULTILINE))
    assert {"likely.lsp.server", "pygls.lsp.server", "lsprotocol.types"} <= imported
    heavy = {"torch", "transformers", "numpy", "tokenizers", "huggingface_hub", "gguf", "rich"}
    assert not heavy & {name.partition(".")[0] for name in imported}
    ours = {name for name in imported if name.startswith("likely.")}
    assert "likely.text.vocabulary" not in ours
    # What settings are declared beside is no more than declarations.
    light = {"likely.prediction", "likely.prediction.options"}
    assert not any(name.startswith("likely.prediction") for name in ours - light)


async def test_what_a_models_files_say_is_no_link_in_a_message(tmp_path: Path) -> None:
    link = "[Fix it](command:workbench.action.terminal.new)"
    folder = tiny_models.write_llama(tmp_path / "model", model_type=link)
    async with connected(VSCODE, REAL_SERVER, settings={"model": str(folder)}) as client:
        client.open(PHRASE, URI)
        await eventually(lambda: bool(client.messages))
        (message,) = client.messages
        assert "unknown architecture [Fix it] (command:workbench" in message.message
        hover = await client.hover(0, 0)
        assert hover
        assert isinstance(hover.contents, types.MarkupContent)
        assert "\\[Fix it\\](command" in hover.contents.value


async def test_a_missing_model_is_a_message_that_names_it() -> None:
    settings: dict[str, Any] = {"model": "/nowhere/model", "offline": True}
    async with connected(VSCODE, REAL_SERVER, settings=settings) as client:
        client.open(PHRASE, URI)

        await eventually(lambda: bool(client.messages))
        (message,) = client.messages
        assert "/nowhere/model" in message.message
        assert "\n" not in message.message
        assert "Traceback" not in client.log.decode()
