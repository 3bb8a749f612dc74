"""`likely bench`: what is typed, how it is timed, what is printed; and what stays out of wheels."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from zipfile import ZipFile

import pytest
from rich.console import Console

from likely import cli
from likely.benchmark import keystrokes, run
from likely.benchmark.editor import place_after
from likely.benchmark.keystrokes import beginning_and_rest, latency, play
from likely.benchmark.run import RHYTHMS, Figures, passes, print_figures, type_all
from likely.models.reporting import silent
from likely.models.weights_file import bytes_per_pass

ROOT = Path(__file__).parents[2]
TEXTS = ("prose", "code")
# The most keystrokes that can be asked for.
(MOST,) = (p.type.max for p in cli.commands.commands["bench"].params if p.name == "keys")  # type: ignore[attr-defined]


# --- the texts ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_there_is_enough_to_type_and_nothing_is_typed_twice(name: str) -> None:
    beginning, rest = beginning_and_rest(name)
    assert 500 < len(beginning) < 2000
    assert len(rest) >= MOST
    whole = beginning + rest
    assert whole.isascii(), "places are counted in characters"
    # Where a long stretch comes again, a server has been asked about what it asks about now.
    size = 40
    stretches = [whole[i : i + size] for i in range(len(whole) - size)]
    assert len(set(stretches)) == len(stretches)


@pytest.mark.parametrize(
    ("before", "line", "character"),
    [("", 0, 0), ("one", 0, 3), ("one\n", 1, 0), ("one\ntwo", 1, 3), ("\n\n x", 2, 2)],
)
def test_the_place_after_a_text(before: str, line: int, character: int) -> None:
    assert place_after(before) == {"line": line, "character": character}


# --- playing --------------------------------------------------------------------------------


class Clock:
    """A clock on which time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(keystrokes, "time", made)
    monkeypatch.setattr(keystrokes, "asyncio", made)
    return made


def played(
    clock: Clock, answers: Sequence[float], interval: float
) -> tuple[list[float], list[tuple[float, str]]]:
    """Seconds per key, and when which text was asked about; `answers`: how long each takes."""
    asked: list[tuple[float, str]] = []
    began, durations = clock.now, iter(answers)

    async def press(before: str, text: str) -> None:
        asked.append((round(clock.now - began, 6), before + text))
        clock.now += next(durations)

    typed = "abcdefgh"[: len(answers)]
    times = asyncio.run(play(press, "> ", typed, interval))
    return times, asked


def test_keys_come_at_their_rhythm(clock: Clock) -> None:
    times, asked = played(clock, [0.01, 0.02, 0.03], interval=0.1)
    assert times == pytest.approx([0.01, 0.02, 0.03])
    assert asked == [(0.0, "> a"), (0.1, "> ab"), (0.2, "> abc")]


def test_a_late_list_delays_the_next_key_and_counts_once(clock: Clock) -> None:
    times, asked = played(clock, [0.01, 0.25, 0.02, 0.02], interval=0.1)
    assert times == pytest.approx([0.01, 0.25, 0.02, 0.02])
    assert [moment for moment, _ in asked] == pytest.approx([0.0, 0.1, 0.35, 0.45])


def test_in_a_burst_each_key_follows_upon_the_list_before(clock: Clock) -> None:
    _, asked = played(clock, [0.01, 0.25, 0.02], interval=0.0)
    assert [moment for moment, _ in asked] == pytest.approx([0.0, 0.01, 0.26])


def test_percentiles_and_the_share_of_late_lists() -> None:
    found = latency([0.001, 0.003, 0.02, 0.1])
    assert (found.count, found.late) == (4, 0.25)
    assert found.max == pytest.approx(100)
    assert found.p50 == pytest.approx(11.5)
    assert found.p95 == pytest.approx(88)


class FakeEditor:
    """An editor whose server answers at once."""

    made: list["FakeEditor"] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self) -> None:
        self.started = 0.0
        self.texts: list[str] = []
        self.ended = False
        assert all(editor.ended for editor in self.made), "one server at a time"
        self.made.append(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended = True

    async def open(self, text: str) -> None:
        self.texts.append(text)

    async def press(self, before: str, text: str) -> None:
        assert before == self.texts[-1]
        self.texts.append(before + text)


def test_each_text_is_typed_in_a_fresh_server(clock: Clock) -> None:
    FakeEditor.made = []
    typed, first_list = asyncio.run(type_all(FakeEditor, 7, silent))  # type: ignore[arg-type]
    assert list(typed) == [f"{text}, {rhythm}" for text in TEXTS for rhythm in RHYTHMS]
    assert {times.count for times in typed.values()} == {7}
    assert first_list > 0
    assert len(FakeEditor.made) == 4
    for editor in FakeEditor.made:
        assert len(editor.texts) == len(set(editor.texts)) == 8
        assert {len(b) - len(a) for a, b in pairwise(editor.texts)} == {1}
        assert editor.ended


# --- passes and their floor -----------------------------------------------------------------


class CountingEngine:
    """Notes how many tokens of each prefix were not seen before."""

    def __init__(self) -> None:
        from fakes import ScriptedEngine

        self.model = ScriptedEngine().model
        self.kept: set[tuple[int, ...]] = set()
        self.lacking: list[int] = []

    def distributions(self, prefixes: Sequence[tuple[int, ...]], work: object) -> None:
        (prefix,) = prefixes
        longest = max((len(kept) for kept in self.kept if prefix[: len(kept)] == kept), default=0)
        self.lacking.append(len(prefix) - longest)
        self.kept.add(prefix)


def test_a_row_is_one_token_at_a_warm_prefix_and_a_prefill_finds_nothing() -> None:
    engine = CountingEngine()
    row, prefill = passes(engine)  # type: ignore[arg-type]
    assert row > 0
    assert prefill > 0
    length = engine.model.max_tokens - 2
    assert engine.lacking == [length, *[1] * 8] * 4


@pytest.mark.parametrize("tied", [True, False])
def test_a_pass_reads_all_weights_but_the_embedding(tied: bool, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    shapes = {
        "model.embed_tokens.weight": (7, 4),
        "model.layers.0.mlp.up_proj.weight": (8, 4),
        "model.layers.0.attn.bias": (1, 1, 9, 9),
        "lm_head.weight": (7, 4),
    }
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    if tied:
        del tensors["lm_head.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"tie_word_embeddings": tied}))
    assert bytes_per_pass(tmp_path) == 4 * (8 * 4 + 7 * 4)


# --- the report -----------------------------------------------------------------------------


FIGURES = Figures(
    machine={"model": "smollm2-135m", "processor": "a [bold]fast[/] one, load 0.1"},
    typing={f"{t}, {r}": latency([0.00321, 0.123]) for t in TEXTS for r in RHYTHMS},
    first_list=2.34,
    row=25.04,
    floor=12.3,
    bandwidth=44.2e9,
    prefill=652.4,
)


def test_the_table_fits_a_terminal() -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_figures(FIGURES, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for words in ("prose, 10 keys/s", "code, burst", "over 20 ms", "50%", "123.0", "25.0 ms"):
        assert words in text
    for words in ("12.3 ms (44.2 GB/s)", "652 ms", "2.3 s", "a [bold]fast[/] one"):
        assert words in text
    assert "…" not in text


def test_the_figures_as_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def measured(*arguments: object) -> Figures:
        asked.append(arguments[:3])
        return FIGURES

    monkeypatch.setattr(run, "run", measured)
    monkeypatch.setattr(sys, "argv", ["likely", "bench", "--keys", "9", "--threads", "1", "--json"])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert leaving.value.code == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(asdict(FIGURES)))
    assert asked == [("smollm2-135m", 1, 9)]


# --- what is shipped ------------------------------------------------------------------------


def test_a_wheel_has_the_texts_and_no_comparison(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    shipped = {name for name in names if name.startswith("likely/benchmark/")}
    assert {f"likely/benchmark/{name}.txt" for name in TEXTS} <= shipped
    scripts = {path.name for path in (ROOT / "tests" / "bench").glob("*.py")}
    assert {"compare.py", "plain_transformers.py"} <= scripts
    assert not [name for name in names if Path(name).name in scripts]
    assert {name.split("/")[0] for name in names} == {
        "likely",
        next(name.split("/")[0] for name in names if name.endswith("dist-info/METADATA")),
    }
    code = [ROOT / "server" / name for name in shipped if name.endswith(".py")]
    assert sum(path.read_text(encoding="utf-8").count("\n") for path in code) <= 300
