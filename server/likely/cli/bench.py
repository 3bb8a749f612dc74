"""`likely bench`: how fast it is on this machine."""

import json

import click

from likely.cli.model_options import DEFAULT_MODEL


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="MODEL")
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
