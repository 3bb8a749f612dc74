"""`likely serve`: the language server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from likely.engines.engine import Engine
    from likely.lsp.suppliers import ListedModel, Progress
    from likely.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
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
