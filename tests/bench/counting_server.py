"""`likely serve` that notes its passes: `python counting_server.py NOTES [SERVER [CACHE]]`.

NOTES gets a line per finished pass: when it began and ended (`time.perf_counter`, which all
processes of a machine share) and how many tokens went through the layers. SERVER is the `server`
folder of another clone, to measure that one; CACHE the folder of its converted models.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from likely.engines.engine import Engine


class Counted:
    """An engine whose passes are noted; everything else is its own."""

    def __init__(self, engine: "Engine", notes: TextIO) -> None:
        self._engine = engine
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def distributions(self, prefixes: Sequence[tuple[int, ...]], work: Any) -> Any:
        before, began = self._engine.rows_computed, time.perf_counter()
        found = self._engine.distributions(prefixes, work)
        rows = self._engine.rows_computed - before
        print(began, time.perf_counter(), rows, file=self._notes, flush=True)
        return found


def counted(load: Callable[..., "Engine"], notes: TextIO) -> Callable[..., Counted]:
    return lambda *arguments, **options: Counted(load(*arguments, **options), notes)


def main() -> None:
    notes, *others = sys.argv[1:]
    if others:
        sys.path.insert(0, others[0])
    if others[1:]:
        os.environ["LIKELY_CACHE"] = others[1]

    from likely import cli
    from likely.lsp import server

    with Path(notes).open("a", encoding="utf-8") as file:
        serve = server.serve_stdio
        # This is where the command finds it.
        server.serve_stdio = lambda load_engine, list_models: serve(
            counted(load_engine, file), list_models
        )
        sys.argv = ["likely", "serve"]
        cli.main()


if __name__ == "__main__":
    main()
