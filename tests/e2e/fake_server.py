"""`likely serve` with scripted models; the model's name says how it behaves."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from likely.lsp import server
from likely.lsp.server import serve_stdio, serve_tcp
from likely.settings import Settings

if TYPE_CHECKING:
    from fakes import ScriptedEngine
    from likely.engines.engine import Work


FOREVER = 3600.0
# A busy client may take longer to say its settings than one has patience for otherwise.
server.CONFIGURATION_GRACE = 5.0


@dataclass(frozen=True)
class Entry:
    name: str
    detail: str
    cached: bool
    size: int | None = None


def load_engine(
    settings: Settings, progress: Callable[[str, float | None], None]
) -> "ScriptedEngine":
    from fakes import ScriptedEngine, slowly

    name = settings.model
    print("a library that prints to standard output")
    if name.startswith("missing"):
        raise ValueError(f"there is no model {name}; set `likely.model` to another")
    if name == "crash":
        raise SystemExit("a library that ends the process")
    if name == "stuck-at-loading":
        progress("Loading", None)
        time.sleep(FOREVER)
    if name == "slow-to-load":
        for step in range(20):
            progress("Converting the weights", step / 20)
            time.sleep(0.1)
    progress("Loading", None)
    during = {"slow": slowly(FOREVER), "stuck": sleep, "failing": fail}.get(
        name, lambda _engine, _work: None
    )
    return ScriptedEngine(name=name, during=during)


def sleep(engine: "ScriptedEngine", work: "Work") -> None:
    """A pass that cannot be abandoned."""
    time.sleep(FOREVER)


def fail(engine: "ScriptedEngine", work: "Work") -> None:
    raise ValueError(f"private: {engine.model.vocabulary.decode(engine.asked[-1])!r}")


def list_models(settings: Settings) -> list[Entry]:
    return [Entry("fake", "a script", True, 1000), Entry(settings.model, "the one in use", False)]


if __name__ == "__main__":
    if sys.argv[1:]:
        serve_tcp(load_engine, list_models, "127.0.0.1", int(sys.argv[1]))
    serve_stdio(load_engine, list_models)
