"""The figures of a run as tables for a terminal of 80 columns."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from likely.benchmark.figures import (
    DISTILGPT2_SHAPE,
    LIKELY_BURST,
    LIKELY_RHYTHM,
    LLAMA_BURST,
    LLAMA_RHYTHM,
    MODEL,
    NOTEBOOK,
    Figures,
    ratios,
)
from likely.benchmark.memory import Memory
from likely.benchmark.timing import Latency
from likely.models.reporting import size_text

_LONG = {
    LIKELY_RHYTHM: "likely, 10 keys/s",
    LIKELY_BURST: "likely, burst",
    LLAMA_RHYTHM: "llama.cpp, 10 keys/s",
    LLAMA_BURST: "llama.cpp, burst",
    NOTEBOOK: "the notebook's function",
}
_SHORT = {
    LIKELY_RHYTHM: "likely 10/s",
    LIKELY_BURST: "likely burst",
    LLAMA_RHYTHM: "llama.cpp 10/s",
    LLAMA_BURST: "llama.cpp burst",
    NOTEBOOK: "notebook",
}
_ROWS = "rows: tokens through the layers; ahead: those while nobody waits"
_PASSES = {MODEL: "model", DISTILGPT2_SHAPE: "distilgpt2's shape"}


def print_report(figures: Figures, console: Console) -> None:
    """Print all that was measured."""
    environment = figures.environment
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    load = "" if environment.load is None else f", load {environment.load:.1f}"
    console.print(
        Text(
            f"{environment.model}, float32, {environment.threads} threads · "
            f"{environment.processor}, {environment.processors} processors{load}\n{versions}",
            style="dim",
        )
    )
    for table in _tables(figures):
        console.print()
        console.print(table)
    if figures.llama_cpp is not None:
        console.print()
        console.print(Text(f"llama.cpp: {figures.llama_cpp}"))


def _tables(figures: Figures) -> Iterator[Table]:
    if figures.typing is not None:
        yield _typing(figures)
        yield _typing_by_trace(figures)
    if figures.passes is not None:
        yield _passes(figures)
    if figures.accepting is not None or figures.hovering is not None:
        yield _requests(figures)
    if figures.documents is not None:
        yield _documents(figures)
    if figures.start is not None:
        yield _start(figures)
    if figures.memory is not None:
        yield _memory(figures)
    if found := ratios(figures):
        table = _table("ratios within this run", "")
        for name, ratio in found.items():
            table.add_row(name, f"{ratio:.2f}")
        yield table


def _table(first: str, *columns: str, caption: str | None = None) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        caption=caption,
        caption_justify="left",
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _typing(figures: Figures) -> Table:
    table = _table(
        "a keystroke, ms",
        *("p50", "p95", "max", "mean", "rows", "ahead", "no pass"),
        caption=_ROWS,
    )
    for name, played in (figures.typing or {}).items():
        overall = played.overall
        table.add_row(
            _LONG[name],
            *_four(overall.latency),
            _digits(overall.rows),
            _digits(overall.idle_rows),
            f"{overall.without_pass:.0%}",
        )
    return table


def _typing_by_trace(figures: Figures) -> Table:
    typing = figures.typing or {}
    traces = list(next(iter(typing.values())).traces)
    table = _table("p50/p95, ms", *traces, "opening")
    for name, played in typing.items():
        times = [played.traces[trace].latency for trace in traces]
        table.add_row(
            _SHORT[name],
            *(f"{_digits(t.p50)}/{_digits(t.p95)}" for t in times),
            _digits(played.opening),
        )
    return table


def _passes(figures: Figures) -> Table:
    bandwidth = (figures.bandwidth or 0.0) / 1e9
    passes = figures.passes or {}
    table = _table(
        f"a pass, ms (memory: {bandwidth:.1f} GB/s)", *(_PASSES[name] for name in passes)
    )
    columns = list(passes.values())
    table.add_row("weights read", *(size_text(p.bytes_read) for p in columns))
    table.add_row("floor: weights / bandwidth", *(_digits(p.floor) for p in columns))
    table.add_row("likely, one row", *(_digits(p.one_row) for p in columns))
    table.add_row("likely, one row / floor", *(f"{p.ratio:.2f}" for p in columns))
    table.add_row("likely, one row - floor", *(_digits(p.overhead) for p in columns))
    table.add_row("likely, four rows", *(_digits(p.four_rows) for p in columns))
    table.add_row("transformers, one token", *(_digits(p.transformers) for p in columns))
    table.add_row(
        "llama.cpp, one token",
        *("" if p.llama_cpp is None else _digits(p.llama_cpp) for p in columns),
    )
    return table


def _requests(figures: Figures) -> Table:
    table = _table("other requests, ms", "p50", "p95", "max", "mean", "no pass")
    if figures.accepting is not None:
        table.add_row("the list after accepting", *_four(figures.accepting), "")
    if (hovering := figures.hovering) is not None:
        table.add_row("hover", *_four(hovering.latency), f"{hovering.without_pass:.0%}")
    return table


def _documents(figures: Figures) -> Table:
    table = _table("through the server, ms", "p50", "p95", "max", "mean")
    if (documents := figures.documents) is not None:
        table.add_row(f"document of {documents.short_lines:,} lines", *_four(documents.short))
        table.add_row(f"document of {documents.long_lines:,} lines", *_four(documents.long))
    return table


def _start(figures: Figures) -> Table:
    table = _table("from the start of a process, s", "")
    if (start := figures.start) is not None:
        table.add_row("import torch, alone", f"{start.import_torch:.2f}")
        table.add_row("server: initialize answered", f"{start.initialized:.2f}")
        table.add_row("server: model ready", f"{start.ready:.2f}")
        table.add_row("server: first list", f"{start.first_list:.2f}")
    return table


def _memory(figures: Figures) -> Table:
    table = _table("memory", "private", "shared", "proportional")
    if (memory := figures.memory) is not None:
        table.add_row("a server", *_sizes(memory.alone))
        table.add_row("the same beside a second one", *_sizes(memory.first))
        table.add_row("the second one", *_sizes(memory.second))
    return table


def _sizes(memory: Memory) -> tuple[str, ...]:
    sizes = (memory.private, memory.shared, memory.proportional)
    return tuple("?" if size is None else size_text(size) for size in sizes)


def _four(times: Latency) -> tuple[str, ...]:
    return tuple(_digits(value) for value in (times.p50, times.p95, times.max, times.mean))


def _digits(value: float) -> str:
    """Three digits or so: `0.31`, `4.9`, `25`, `652`."""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
