"""The commands; the composition root.

Nothing heavy is imported before a command needs it: an editor waits for `likely serve`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from likely import __version__
from likely.models.reporting import ModelError, ModelUnavailableError
from likely.text.escaping import line

if TYPE_CHECKING:
    from likely.engines.engine import Engine
    from likely.lsp.suppliers import ListedModel, Progress
    from likely.prediction.options import DocumentStart
    from likely.settings import Settings

_OK, _FAILED, _BAD_INPUT = 0, 1, 2
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DEFAULT_MODEL = "smollm2-135m"

Command = Callable[..., Any]


def main() -> NoReturn:
    """Run the command line; exit 0 when done, 2 for bad usage or input, 1 for anything else."""
    # A token may hold characters that a terminal of old cannot show.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        left_with = commands.main(prog_name="likely", standalone_mode=False)
        sys.stdout.flush()
        status = left_with if isinstance(left_with, int) else _OK
    except click.UsageError as error:
        context = error.ctx.command_path if error.ctx else "likely"
        status = _fail(f"{error.format_message()} See `{context} --help`.", _BAD_INPUT)
    except click.Abort:
        status = _fail("interrupted", _FAILED)
    except ModelUnavailableError as error:
        status = _fail(str(error), _FAILED)
    except ModelError as error:
        status = _fail(str(error), _BAD_INPUT)
    except BrokenPipeError:
        # Whoever read our output has left. Nor should the interpreter flush to nobody at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _FAILED
    sys.exit(status)


def _fail(message: str, status: int) -> int:
    _note(message)
    return status


def _note(message: str) -> None:
    """Say something beside the answer."""
    click.echo(f"likely: {line(message)}", err=True)


def _model_options(command: Command) -> Command:
    """Options of every command that runs a model."""
    options = (
        click.option(
            "--model",
            default=_DEFAULT_MODEL,
            show_default=True,
            metavar="MODEL",
            help="smollm2-135m, a hub id, a folder or a .gguf file.",
        ),
        click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model."),
        click.option("--offline", is_flag=True, help="Use only what is on this machine."),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda", "mps"]),
            default="auto",
            show_default=True,
            help="Where the model runs.",
        ),
        click.option(
            "--threads", type=click.IntRange(1, 1024), metavar="N", help="Threads on the CPU."
        ),
        click.option(
            "--context-tokens",
            type=click.IntRange(min=16),
            metavar="N",
            help="How many tokens the model sees at most; all that it can take by default.",
        ),
        click.option(
            "--document-start",
            type=click.Choice(["auto", "none", "bos", "space"]),
            default="none",
            show_default=True,
            help="What stands before the first token.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="likely")
@click.pass_context
def commands(context: click.Context) -> None:
    """Likely shows how likely every token is, while you type."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@commands.command()
@click.argument("text")
@click.option(
    "-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many tokens."
)
@click.option(
    "--mode",
    type=click.Choice(["raw", "exact"]),
    default="raw",
    show_default=True,
    help="raw: after the tokens of TEXT; exact: after its characters.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_model_options
def predict(
    text: str,
    k: int,
    mode: Literal["raw", "exact"],
    as_json: bool,
    document_start: DocumentStart,
    context_tokens: int | None,
    **options: Any,
) -> None:
    """Show the most likely next tokens after TEXT.

    TEXT "-" reads standard input, without the line end that `echo` puts at its end.
    """
    data = _standard_input() if text == "-" else os.fsencode(text)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"TEXT is not UTF-8 at byte {error.start}.") from None
    from likely import next_tokens

    driver = next_tokens.loaded(**options)
    if context_tokens is not None and context_tokens > driver.model.max_tokens:
        _note(
            f"{driver.model.name} sees at most {driver.model.max_tokens:,} tokens, and not"
            f" the {context_tokens:,} of --context-tokens"
        )
    table = next_tokens.predict(
        driver,
        data,
        min(k, len(driver.model.vocabulary)),
        mode=mode,
        document_start=document_start,
        context_tokens=context_tokens,
    )
    if as_json:
        found = json.dumps(table.to_dict(), ensure_ascii=False) + "\n"
        sys.stdout.buffer.write(found.encode())
        return
    from likely.terminal import print_table

    print_table(table.table())


def _standard_input() -> bytes:
    """Standard input without one line end at its end, which no phrase is meant to have."""
    data = sys.stdin.buffer.read()
    return data[: -2 if data.endswith(b"\r\n") else -1] if data.endswith(b"\n") else data


@commands.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List, fetch and remove models.

    Likely's own cache is in the folder that the variable LIKELY_CACHE names, else in the user's
    cache folder; hub models are in the hub's cache.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
def list_models() -> None:
    """List the models that are cached, and some that could be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from likely.models import sources
    from likely.models.reporting import size_text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    grid.add_column("model", no_wrap=True)
    grid.add_column("cached", no_wrap=True)
    grid.add_column("what")
    for entry in sources.list_models():
        size = size_text(entry.size) if entry.size is not None else "yes"
        shown = size if entry.cached else "-"
        grid.add_row(Text(line(entry.name)), shown, Text(line(entry.detail)))
    Console(highlight=False).print(grid)


@models.command()
@click.argument("model")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
def fetch(model: str, revision: str | None) -> None:
    """Fetch MODEL, so that it works without a network."""
    from likely.models import sources
    from likely.terminal import showing_progress

    with showing_progress() as progress:
        folder = sources.fetch(model, revision=revision, progress=progress)
    click.echo(line(f"{model} is ready in {folder}"), err=True)


@models.command()
@click.argument("model")
def remove(model: str) -> None:
    """Remove what is cached of MODEL."""
    from likely.models import sources

    if not sources.remove(model):
        raise ModelError(f"{model} is not cached: `likely models` lists what is")
    click.echo(line(f"{model} is removed"), err=True)


@models.command()
@click.argument("model")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
@click.option("--offline", is_flag=True, help="Use only what is on this machine.")
def path(model: str, revision: str | None, offline: bool) -> None:
    """Print the folder of MODEL, fetching it first where it is not cached."""
    from likely.models import sources
    from likely.terminal import showing_progress

    with showing_progress() as progress:
        folder = sources.locate(model, revision=revision, offline=offline, progress=progress)
    click.echo(folder)


@commands.command()
@click.option("--model", default=_DEFAULT_MODEL, show_default=True, metavar="MODEL")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N")
def doctor(model: str, device: str, threads: int | None) -> None:
    """Report versions, device, cache and model, and say what is wrong."""
    from likely.doctor import examine

    problems = []
    for finding in examine(model, device, threads):
        click.echo(f"{finding.subject:<16} {line(finding.value)}")
        if finding.problem:
            problems.append(finding.problem)
    for problem in problems:
        click.echo(f"wrong: {line(problem)}")
    if problems:
        sys.exit(_FAILED)
    click.echo("nothing is wrong")


@commands.command()
@click.option("--model", default=_DEFAULT_MODEL, show_default=True, metavar="MODEL")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N")
@click.option(
    "--keys",
    type=click.IntRange(5, 1500),
    default=200,
    show_default=True,
    metavar="N",
    help="How many keystrokes to type of each text, in each rhythm.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(model: str, threads: int | None, keys: int, as_json: bool) -> None:
    """Measure how long a keystroke takes here, and how far that is from the limit.

    Types prose and code into language servers, as an editor does; a minute or two. Figures can
    be compared within one run; let the machine be quiet.
    """
    from dataclasses import asdict

    from likely.benchmark.run import print_figures, run
    from likely.terminal import showing_progress

    with showing_progress() as progress:
        figures = run(model, threads, keys, progress)
    if as_json:
        click.echo(json.dumps(asdict(figures), ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    print_figures(figures, Console(highlight=False))


@commands.command()
@click.option("--stdio", is_flag=True, help="Serve on standard input and output (the default).")
@click.option(
    "--tcp",
    "address",
    metavar="[HOST:]PORT",
    help="Serve on a port instead; HOST is this machine alone unless it is given.",
)
def serve(stdio: bool, address: str | None) -> None:
    """Run the language server."""
    if address is None:
        from likely.lsp.server import serve_stdio

        serve_stdio(_load_engine, _list_models)
    if stdio:
        raise click.UsageError("choose one of --stdio and --tcp.")
    host, port = _host_and_port(address)
    if host not in _LOOPBACK:
        click.echo(f"likely: whoever reaches {host}:{port} can read what is typed here", err=True)
    from likely.lsp.server import serve_tcp

    serve_tcp(_load_engine, _list_models, host, port)


def _load_engine(settings: Settings, progress: Progress) -> Engine:
    """Have the model of `settings`; everything heavy is imported here, in a thread."""
    from likely.engines.loading import load
    from likely.models.sources import locate

    folder = locate(
        settings.model,
        revision=settings.revision,
        offline=settings.offline,
        cache_directory=settings.cache_directory,
        progress=progress,
    )
    return load(
        folder,
        name=settings.model,
        device=settings.device,
        threads=settings.threads or None,
        progress=progress,
    )


def _list_models(settings: Settings) -> Sequence[ListedModel]:
    """The models that are cached or could be."""
    from likely.models.sources import list_models

    return list_models(settings.cache_directory)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise click.UsageError(f"--tcp {address}: give HOST:PORT, such as 127.0.0.1:8765.")
    # "*" and the empty host mean "every network" elsewhere; here that has to be spelled out.
    if host == "*":
        raise click.UsageError("--tcp *: name the address to serve on, such as 127.0.0.1.")
    return host.strip("[]") or _LOOPBACK[0], int(port)


if __name__ == "__main__":
    main()
