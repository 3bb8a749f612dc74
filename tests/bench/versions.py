"""Another version beside this one: `python tests/bench/versions.py OTHER/server`.

Servers of both take turns at typing the same texts, every time in a fresh process and a part of
the text that was not typed before; so a machine's moods hit both alike. Compare ratios.
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import psutil
from counting import Keystroke, counting, percentiles
from rich.console import Console
from rich.table import Table

from likely.benchmark.keystrokes import beginning_and_rest, play
from likely.benchmark.run import RHYTHMS

THIS = Path(__file__).parents[2] / "server"


@dataclass
class Measured:
    """A version: keystrokes by rhythm; per start, seconds to the first list and private bytes."""

    typing: dict[str, list[Keystroke]] = field(
        default_factory=lambda: {name: [] for name in RHYTHMS}
    )
    first_lists: list[float] = field(default_factory=list)
    private: list[int] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Medians and shares by name: milliseconds, seconds, MB."""
        found = {}
        for rhythm, keystrokes in self.typing.items():
            groups = {
                "all": [k.seconds for k in keystrokes],
                "no pass": [k.seconds for k in keystrokes if k.rows == 0],
                "a pass": [k.seconds for k in keystrokes if k.rows],
            }
            for name, seconds in groups.items():
                for what, value in zip(("p50", "p95"), percentiles(seconds), strict=False):
                    if value != "-":
                        found[f"{rhythm}, {name}, {what}, ms"] = float(value)
            found[f"{rhythm}, without a pass, %"] = 100 * len(groups["no pass"]) / len(keystrokes)
        found["first list, s"] = statistics.median(self.first_lists)
        found["private memory, MB"] = statistics.median(self.private) / 1e6
        return found


async def type_once(
    measured: Measured,
    where: list[str],
    name: str,
    rhythm: str,
    skip: int,
    arguments: argparse.Namespace,
) -> None:
    """Open a text up to a place in a fresh server and type from there."""
    beginning, rest = beginning_and_rest(name)
    opened, typed = beginning + rest[:skip], rest[skip : skip + arguments.keys]
    settings = {"model": arguments.model, "device": "cpu", "threads": arguments.threads}
    with counting(settings, *where) as editor:
        async with editor:
            await editor.open(opened)
            measured.first_lists.append(time.perf_counter() - editor.started)
            await play(editor.press, opened, typed, RHYTHMS[rhythm])
            measured.typing[rhythm] += editor.keystrokes()
            measured.private.append(psutil.Process(editor.process.pid).memory_full_info().uss)


async def measure(arguments: argparse.Namespace) -> dict[str, Measured]:
    """Both versions in turns, the first one alternating."""
    measured = {"this": Measured(), "other": Measured()}
    folders = {"this": THIS, "other": arguments.other}
    turns = list(product(range(arguments.rounds), ("prose", "code"), RHYTHMS))
    for number, (turn, name, rhythm) in enumerate(turns):
        for version in list(measured)[:: -1 if number // len(RHYTHMS) % 2 else 1]:
            where = [str(folders[version])]
            if arguments.caches:
                where.append(str(arguments.caches / version))
            skip = turn * arguments.keys
            await type_once(measured[version], where, name, rhythm, skip, arguments)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("other", type=Path, help="the `server` folder of another clone")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--keys", type=int, default=60, help="keystrokes per text, rhythm and round"
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--caches",
        type=Path,
        help="keep converted models apart here, where versions differ in them",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    measured = asyncio.run(measure(arguments))
    this, other = (measured[name].figures() for name in ("this", "other"))
    if arguments.json:
        print(json.dumps({"this": this, "other": other}, indent=1))
        return
    table = Table("", "this", "other", "this / other", box=None)
    for name, value in this.items():
        if name in other:
            beside = other[name]
            table.add_row(
                name, f"{value:.1f}", f"{beside:.1f}", f"{value / beside:.2f}" if beside else "-"
            )
    Console().print(table)


if __name__ == "__main__":
    main()
