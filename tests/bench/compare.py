"""Likely beside its peers, through pipes: `python tests/bench/compare.py [--only typing]...`.

- typing: five ways of typing, at ten keys a second and in a burst, beside llama.cpp on the same
  model's GGUF file and the notebook's function, each trace in a fresh process;
- accepting: the list after a candidate drawn by probability was accepted;
- hovering: over tokens here and there in a text just opened;
- documents: the same typed in the middle of 500 lines and of 50,000;
- memory: of one server, and of two side by side;
- start: from a process's start to its first list, beside one that only imports torch.

Figures of one run can be compared, best by the ratios at its end.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from counting import Keystroke, counting, percentiles
from peers import Peer, UnavailableError, find_gguf
from rich.console import Console
from rich.table import Table
from traces import Trace, make_traces

from likely.benchmark.editor import DOCUMENT, Editor, place_after
from likely.benchmark.keystrokes import beginning_and_rest, play
from likely.benchmark.run import RHYTHMS
from likely.models.sources import locate
from likely.terminal import showing_progress

HOMING = 0.4
"""Seconds from a click elsewhere to the first key there: the hand's way from mouse to keyboard in
the keystroke-level model (Card, Moran & Newell 1980, doi 10.1145/358886.358895)."""

NOTEBOOK_KEYS = 6
"""Per trace; it takes half a second for each."""

RHYTHM = RHYTHMS["10 keys/s"]
SHORT, LONG = 500, 50_000
LINE = "Every line of this long document says just the very same thing.\n"
ALIGNED = 32
"""Lines of 64 bytes: a window's place goes by multiples of a power of two of bytes, so with
this many lines, or a multiple, above the cursor both documents give the model the same work."""

Rows = list[list[str]]
Ratios = dict[str, float]


class Comparison:
    """One run; each measurement returns rows for its table, and adds to the ratios."""

    def __init__(self, arguments: argparse.Namespace, gguf: Path | str, folder: Path) -> None:
        self.ratios: Ratios = {}
        self._arguments = arguments
        self._gguf = gguf
        self._folder = folder
        self._settings = {
            "model": arguments.model,
            "device": "cpu",
            "threads": arguments.threads,
        }

    async def typing(self) -> Rows:
        traces = make_traces(self._arguments.keys)
        times: dict[str, dict[str, list[Keystroke]]] = {}
        for trace in traces:
            for rhythm, interval in RHYTHMS.items():
                with counting(self._settings) as editor:
                    async with editor:
                        await editor.open(trace.opened)
                        await _type(editor, trace, interval, editor.press)
                        keystrokes = editor.keystrokes()
                times.setdefault(f"likely, {rhythm}", {})[trace.name] = keystrokes
                if isinstance(self._gguf, Path):
                    peer = Peer("llama.cpp", self._gguf, self._arguments.threads)
                    found = await _peer_types(peer, trace, interval)
                    times.setdefault(f"llama.cpp, {rhythm}", {})[trace.name] = found
            peer = Peer("notebook", self._folder, self._arguments.threads)
            found = await _peer_types(peer, trace, 0.0, NOTEBOOK_KEYS)
            times.setdefault("notebook", {})[trace.name] = found
        rows = []
        for who, by_trace in times.items():
            every = [k for keystrokes in by_trace.values() for k in keystrokes]
            for name, keystrokes in (*by_trace.items(), ("all", every)):
                seconds = [k.seconds for k in keystrokes]
                without = f"{statistics.mean(k.rows == 0 for k in keystrokes):.0%}"
                own = who.startswith("likely")
                rows.append([who, name, *percentiles(seconds), without if own else "0%"])
            times[who]["all"] = every
        self._compare_typing(times)
        return rows

    def _compare_typing(self, times: dict[str, dict[str, list[Keystroke]]]) -> None:
        def figure(who: str, which: int) -> float:
            return float(percentiles([k.seconds for k in times[who]["all"]])[which])

        for rhythm in RHYTHMS:
            own = f"likely, {rhythm}"
            for who in (f"llama.cpp, {rhythm}", "notebook"):
                if who in times:
                    self.ratios[f"{who} / likely, {rhythm}: p50"] = figure(who, 0) / figure(own, 0)
                    self.ratios[f"{who} / likely, {rhythm}: p95"] = figure(who, 1) / figure(own, 1)

    async def accepting(self) -> Rows:
        chance = random.Random(1)
        times = []
        for name in ("prose", "code"):
            text, _ = beginning_and_rest(name)
            async with Editor(self._settings) as editor:
                items = await editor.open(text)
                for _ in range(12):
                    await asyncio.sleep(RHYTHM)
                    weights = [item["data"]["probability"] for item in items]
                    (chosen,) = chance.choices(items, weights)
                    # A place counts UTF-16 units here only as long as the text is ASCII.
                    inserted = _insertion(chosen).encode("ascii", "ignore").decode() or " "
                    began = time.perf_counter()
                    items = await editor.press(text, inserted)
                    times.append(time.perf_counter() - began)
                    text += inserted
        return [["the list after accepting", *percentiles(times)]]

    async def hovering(self) -> Rows:
        times = []
        for name in ("prose", "code"):
            text = "".join(beginning_and_rest(name))
            async with Editor(self._settings) as editor:
                await editor.open(text)
                for number in range(1, 13):
                    place = place_after(text[: number * len(text) // 14])
                    at = {"textDocument": DOCUMENT, "position": place}
                    times.append(await _seconds(editor.ask("textDocument/hover", at)))
        return [["hover", *percentiles(times)]]

    async def documents(self) -> Rows:
        prose, typed = "".join(beginning_and_rest("prose")), beginning_and_rest("code")[1]
        times: dict[int, list[float]] = {SHORT: [], LONG: []}
        # Without look-ahead, of which one server's would be in the other's way.
        settings = {**self._settings, "lookAhead": False}
        async with Editor(settings) as short, Editor(settings) as long:
            places = {}
            for lines, editor in ((SHORT, short), (LONG, long)):
                above = lines // 2 // ALIGNED * ALIGNED
                below = LINE * (lines - above - prose.count("\n"))
                item = {**DOCUMENT, "text": LINE * above + prose + "\n" + below}
                editor.protocol.notify("textDocument/didOpen", {"textDocument": item})
                places[lines] = (editor, above + prose.count("\n"))
                await editor.complete({"line": places[lines][1], "character": 0})
            for column, character in enumerate(typed[: self._arguments.keys].replace("\n", " ")):
                # The first one asked finds the processor warm or cold: they take turns at it.
                for lines in (SHORT, LONG) if column % 2 else (LONG, SHORT):
                    editor, line = places[lines]
                    times[lines].append(await _seconds(_insert(editor, line, column, character)))
        pairs = zip(times[SHORT], times[LONG], strict=True)
        self.ratios["50,000 lines / 500 lines, median"] = statistics.median(b / a for a, b in pairs)
        return [[f"document of {lines:,} lines", *percentiles(t)] for lines, t in times.items()]

    async def memory(self) -> Rows:
        async with Editor(self._settings) as first:
            await first.open(beginning_and_rest("prose")[0])
            alone = _memory(first)
            async with Editor(self._settings) as second:
                await second.open(beginning_and_rest("prose")[0])
                return [
                    ["a server", *alone],
                    ["the same beside a second one", *_memory(first)],
                    ["the second one", *_memory(second)],
                ]

    async def start(self) -> Rows:
        torch, initialized, listed = [], [], []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run((sys.executable, "-c", "import torch"), check=True)
            torch.append(time.perf_counter() - began)
            async with Editor(self._settings) as editor:
                initialized.append(editor.initialized - editor.started)
                await editor.open("This weekend I plan to")
                listed.append(time.perf_counter() - editor.started)
        self.ratios["first list / import torch"] = statistics.median(listed) / statistics.median(
            torch
        )
        columns = {"import torch, alone": torch, "initialize answered": initialized}
        return [
            [what, f"{statistics.median(seconds):.2f}"]
            for what, seconds in {**columns, "first list": listed}.items()
        ]


async def _type(
    editor: Editor, trace: Trace, interval: float, press: Callable[[str, str], Awaitable[object]]
) -> list[float]:
    """Type a trace; where a person goes elsewhere, the editor tells, and the hand takes a while."""
    times: list[float] = []
    for number, stretch in enumerate(trace.stretches):
        if number and interval:
            at = {"textDocument": DOCUMENT, "position": place_after(stretch.before)}
            editor.protocol.notify("likely/cursorMoved", at)
            await asyncio.sleep(HOMING)
        times += await play(press, stretch.before, stretch.typed, interval)
    return times


async def _peer_types(
    peer: Peer, trace: Trace, interval: float, most: int | None = None
) -> list[Keystroke]:
    times: list[float] = []
    async with peer:
        await peer.open(trace.opened)
        for stretch in trace.stretches:
            left = None if most is None else max(0, most - len(times))
            times += await play(peer.press, stretch.before, stretch.typed[:left], interval)
    return [Keystroke(seconds, 1) for seconds in times]


async def _seconds(act: Awaitable[object]) -> float:
    began = time.perf_counter()
    await act
    return time.perf_counter() - began


async def _insert(editor: Editor, line: int, column: int, text: str) -> None:
    place = {"line": line, "character": column}
    change = {"range": {"start": place, "end": place}, "text": text}
    changes = {"textDocument": DOCUMENT, "contentChanges": [change]}
    editor.protocol.notify("textDocument/didChange", changes)
    await editor.complete({"line": line, "character": column + len(text)})


def _insertion(item: dict[str, Any]) -> str:
    """What a candidate adds at the cursor: its edit may repeat what stands before it."""
    edit = item["textEdit"]
    span = edit["range"]["end"]["character"] - edit["range"]["start"]["character"]
    return str(edit["newText"])[span:]


def _memory(editor: Editor) -> list[str]:
    """Private, shared, proportional in MB: shared are the weights, mapped from one file."""
    full = psutil.Process(editor.process.pid).memory_full_info()
    sizes = (full.uss, full.rss - full.uss, getattr(full, "pss", 0))
    return [f"{size / 1e6:.0f}" for size in sizes]


MEASUREMENTS: dict[str, tuple[Callable[[Comparison], Awaitable[Rows]], list[str]]] = {
    "typing": (Comparison.typing, ["typing, ms", "text", "p50", "p95", "max", "no pass"]),
    "accepting": (Comparison.accepting, ["accepting, ms", "p50", "p95", "max"]),
    "hovering": (Comparison.hovering, ["hovering, ms", "p50", "p95", "max"]),
    "documents": (Comparison.documents, ["long documents, ms", "p50", "p95", "max"]),
    "memory": (Comparison.memory, ["memory, MB", "private", "shared", "proportional"]),
    "start": (Comparison.start, ["from a process's start, s", "median"]),
}


async def measure(comparison: Comparison, only: Iterable[str]) -> dict[str, Rows]:
    return {name: await MEASUREMENTS[name][0](comparison) for name in only}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keys", type=int, default=60, help="keystrokes per trace")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="likely-bench-") as scratch:
        with showing_progress() as progress:
            folder = locate(arguments.model, progress=progress)
            gguf: Path | str
            try:
                gguf = find_gguf(arguments.model, Path(scratch), progress)
            except UnavailableError as error:
                gguf = str(error)
        comparison = Comparison(arguments, gguf, folder)
        found = asyncio.run(measure(comparison, arguments.only or MEASUREMENTS))
    absent = gguf if isinstance(gguf, str) else None
    if arguments.json:
        about = {"llama.cpp": absent, "ratios": comparison.ratios}
        print(json.dumps({**{n: [MEASUREMENTS[n][1], *r] for n, r in found.items()}, **about}))
        return
    console = Console()
    for name, rows in found.items():
        table = Table(*MEASUREMENTS[name][1], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        console.print(table, end="\n\n")
    for name, ratio in comparison.ratios.items():
        console.print(f"{name}: {ratio:.2f}")
    if absent:
        console.print(f"beside this: {absent}")


if __name__ == "__main__":
    main()
