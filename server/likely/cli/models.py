"""`likely models`: what is cached and available."""

import click

from likely.models.reporting import ModelError
from likely.text.escaping import line


@click.group(invoke_without_command=True)
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
