"""`likely bench`: what its traces hold, that its figures are all there, that answers are right."""

import json
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import tiny_models
from likely import cli
from likely.benchmark import MEASUREMENTS, documents, keystrokes, passes, run, server_process
from likely.benchmark.contenders import OPTIONS, Likely, text_before
from likely.benchmark.figures import Figures
from likely.benchmark.floor import bytes_per_pass
from likely.benchmark.keystrokes import HOMING, Keystroke, Player, play_all, summarize
from likely.benchmark.report import print_report
from likely.benchmark.texts import PROSE
from likely.benchmark.traces import Key, Trace, make_traces
from likely.models.reporting import ModelError, silent
from likely.prediction.cursor import predict_at_cursor

KEYS = 30
LATENCY = {"count", "p50", "p95", "max", "mean"}
FAKE_SERVER = (sys.executable, str(Path(__file__).parents[1] / "e2e" / "fake_server.py"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with room for the traces."""
    folder = tmp_path_factory.mktemp("bench")
    return tiny_models.write_llama(folder, max_position_embeddings=1024)


@pytest.fixture(scope="session")
def figures(llama: Path) -> Figures:
    """One quick run of everything, with a scripted model in the servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_process, "COMMAND", FAKE_SERVER)
        patch.setattr(passes, "write_random_distilgpt2", tiny_models.write_llama)
        patch.setattr(run, "memory_bandwidth", lambda threads: 1e9)
        patch.setattr(run, "INTERVAL", 0.01)
        patch.setattr("likely.benchmark.accepting.RHYTHM", 0.01)
        return run.run(run.Plan(str(llama), threads=1, keys=25, starts=1), silent)


# --- traces ---------------------------------------------------------------------------------


@pytest.mark.parametrize("trace", make_traces(KEYS), ids=lambda trace: trace.name)
def test_a_trace_is_text_that_grows_by_characters_and_blocks(trace: Trace) -> None:
    assert len(trace.keystrokes) == KEYS
    texts = [key.text.decode() for key in trace.keystrokes]
    assert all(500 < len(text) < 2000 for text in texts)
    steps = [len(b) - len(a) for a, b in pairwise(texts) if b.startswith(a)]
    forward, back = sum(step > 1 for step in steps), KEYS - 1 - len(steps)
    assert (forward > 0) == (trace.name in ("paste", "jumps"))
    assert (back > 0) == (trace.name == "jumps")
    assert any(key.arrival is not None for key in trace.keystrokes) == (trace.name == "jumps")


def test_what_was_typed_stays_when_the_cursor_jumps() -> None:
    (jumps,) = (trace for trace in make_traces(60) if trace.name == "jumps")
    assert b"(words)\n    tota" in jumps.keystrokes[15].text
    assert b"(words)\n    total = sum" in jumps.keystrokes[39].text


def test_the_texts_are_short() -> None:
    folder = Path(run.__file__).parent
    assert (folder / "texts.py").stat().st_size < 8192


@pytest.mark.parametrize("trace", make_traces(KEYS), ids=lambda trace: trace.name)
def test_what_is_at_hand_does_not_change_an_answer(trace: Trace, llama: Path) -> None:
    """The figures would be worth nothing otherwise."""
    warm, cold = (Likely(llama, "tiny", 1) for _ in range(2))
    warm.answer(trace.opened)
    for number, (text, _) in enumerate(trace.keystrokes):
        answer = warm.answer(text)
        warm.rest(text, time.perf_counter() + 0.002 * (number % 3))
        if number % 5 == 0:
            cold.clear()
            expected = predict_at_cursor(cold.model, text_before(text), OPTIONS)
            assert [c.insertion for c in answer.candidates] == [
                c.insertion for c in expected.candidates
            ]
            for ours, theirs in zip(answer.candidates, expected.candidates, strict=True):
                assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)
            assert answer.rest == pytest.approx(expected.rest, abs=1e-4)


# --- playing --------------------------------------------------------------------------------


class Clock:
    """A clock on which time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self._now = 1000.0

    def perf_counter(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(keystrokes, "time", made)
    return made


class Slow:
    """A contender whose answers take as long as they say, in hundredths of a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rows_computed = 0
        self.asked: list[bytes] = []
        self.rests: list[float] = []

    def answer(self, text: bytes) -> None:
        self.asked.append(text)
        self.rows_computed += len(text)
        self._clock.sleep(float(text.decode() or 0) / 100)

    def rest(self, text: bytes, until: float) -> None:
        assert text == self.asked[-1]
        self.rests.append(until - self._clock.perf_counter())
        self.rows_computed += 10
        self._clock.sleep(until - self._clock.perf_counter())

    def clear(self) -> None:
        self.asked.clear()


def test_a_late_answer_delays_the_next_keystroke_and_counts_once(clock: Clock) -> None:
    slow = Slow(clock)
    trace = Trace("slow", b"0", (Key(b"1"), Key(b"9"), Key(b"2")))
    played = play_all([Player("slow", slow, 0.05)], [trace], silent)["slow"].overall
    assert slow.asked == [b"0", b"1", b"9", b"2"]
    # After the second answer, which takes longer than the interval, nobody rests.
    assert slow.rests == pytest.approx([0.04, 0.03])
    assert played.latency.count == 3
    assert played.latency.max == pytest.approx(90)
    assert played.latency.mean == pytest.approx(40)
    assert (played.rows, played.without_pass) == (1, 0)
    assert played.idle_rows == pytest.approx(20 / 3)


def test_contenders_take_turns_and_the_slow_one_is_asked_seldom(clock: Clock) -> None:
    quick, seldom = Slow(clock), Slow(clock)
    keys = tuple(Key(b"0") for _ in range(40))
    players = [Player("quick", quick, 0), Player("seldom", seldom, 0, every=10)]
    played = play_all(players, [Trace("t", b"", keys)], silent)
    assert played["quick"].overall.latency.count == 40
    assert played["seldom"].overall.latency.count == 4
    assert quick.rests == []


def test_who_clicks_elsewhere_needs_a_moment_to_type_there(clock: Clock) -> None:
    class Clicked(Slow):
        def rest(self, text: bytes, until: float) -> None:
            clicks.append((text, until - clock.perf_counter()))

    clicks: list[tuple[bytes, float]] = []
    trace = Trace("click", b"0", (Key(b"0", b"elsewhere"),))
    for interval in (0.0, 0.001):
        play_all([Player("clicked", Clicked(clock), interval)], [trace], silent)
    (text, pause), *others = clicks
    assert text == b"elsewhere"
    assert all(text == b"0" for text, _ in others)
    assert pause == pytest.approx(HOMING)


def test_a_keystroke_without_rows_needed_no_pass() -> None:
    typing = summarize([Keystroke(0.001, 0, 4), Keystroke(0.003, 2, 0)])
    assert (typing.rows, typing.idle_rows, typing.without_pass) == (1, 2, 0.5)
    assert typing.latency.p50 == pytest.approx(2)
    assert typing.latency.max == pytest.approx(3)


# --- the floor ------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_a_pass_reads_all_weights_but_the_embedding(tied: bool, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tiny_models.write_llama(tmp_path / "model", tie_word_embeddings=tied)
    weights = load_file(folder / "model.safetensors")
    everything = sum(tensor.nbytes for tensor in weights.values())
    if not tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"] + 1
        save_file(weights, folder / "model.safetensors")
    assert bytes_per_pass(folder) == everything


# --- documents ------------------------------------------------------------------------------


def test_both_documents_give_the_model_the_same_work() -> None:
    """A window's place goes by multiples of powers of two of bytes."""
    assert len(documents._LINE.encode()) * documents._ALIGNED % 1024 == 0
    assert "\n" not in PROSE[: documents.KEYS]


# --- the report -----------------------------------------------------------------------------


def test_every_figure_is_there(figures: Figures) -> None:
    found = json.loads(json.dumps(figures.to_dict()))
    assert {*MEASUREMENTS, "environment", "llama_cpp", "bandwidth", "ratios"} == set(found)
    assert _absent(found) <= {".llama_cpp", ".passes.model.llama_cpp"} | {
        ".passes.distilgpt2_shape.llama_cpp"
    }
    assert {"likely_burst", "likely_10_keys_per_second", "notebook"} <= set(found["typing"])
    for played in found["typing"].values():
        assert set(played) == {"overall", "traces", "opening"}
        assert set(played["traces"]) == {"prose", "code", "insertion", "jumps", "paste"}
        for typing in (played["overall"], *played["traces"].values()):
            assert set(typing) == {"latency", "rows", "idle_rows", "without_pass"}
            assert set(typing["latency"]) == LATENCY
    assert found["typing"]["likely_burst"]["overall"]["latency"]["count"] == 25
    assert found["typing"]["notebook"]["overall"]["latency"]["count"] == 5
    assert found["typing"]["notebook"]["overall"]["rows"] > 100
    assert found["typing"]["likely_burst"]["overall"]["idle_rows"] == 0
    # How far look-ahead gets between two keys is the machine's matter, not this test's.
    assert found["typing"]["likely_10_keys_per_second"]["overall"]["idle_rows"] >= 0
    assert set(found["accepting"]) == LATENCY
    assert found["documents"]["long_lines"] == 50_000
    assert found["memory"]["second"].keys() == {"private", "shared", "proportional"}
    assert {"notebook / likely burst, mean", "first list / import torch"} <= set(found["ratios"])
    assert found["environment"]["threads"] == 1


def test_the_tables_fit_a_terminal(figures: Figures) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_report(figures, console)
    lines = console.export_text().splitlines()
    assert not [line for line in lines if "…" in line]
    text = "\n".join(lines)
    for words in (
        "likely, 10 keys/s",
        "the notebook's function",
        "distilgpt2's shape",
        "import torch",
        "document of 50,000 lines",
        "hover",
        "the list after accepting",
        "the second one",
        "ratios within this run",
    ):
        assert words in text


def test_only_what_is_asked_for_is_measured(
    llama: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--only", "hovering", "--json", "--keys", "5", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["likely", "bench", "--model", str(llama), *options])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert leaving.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hovering"]["latency"]["count"] == 60
    assert [found[name] for name in MEASUREMENTS if name != "hovering"] == [None] * 6


def test_a_server_that_cannot_load_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "COMMAND", FAKE_SERVER)
    with pytest.raises(ModelError, match="there is no model missing"):
        server_process.ServerProcess({"model": "missing"})
    monkeypatch.setattr(server_process, "COMMAND", (sys.executable, "-c", "pass"))
    with pytest.raises(ModelError, match="run `likely doctor`"):
        server_process.ServerProcess({})


def _absent(found: Mapping[str, Any], place: str = "") -> set[str]:
    """The paths to everything that is null."""
    absent = set()
    for name, value in found.items():
        if value is None:
            absent.add(f"{place}.{name}")
        elif isinstance(value, dict):
            absent |= _absent(value, f"{place}.{name}")
    return absent
