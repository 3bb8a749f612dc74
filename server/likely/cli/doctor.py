"""`likely doctor`: what is here, and what is wrong."""

import sys

import click

from likely.cli.model_options import DEFAULT_MODEL, DEVICES
from likely.cli.saying import FAILED
from likely.text.escaping import line


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="MODEL")
@click.option("--device", type=click.Choice(DEVICES), default="auto")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N")
def doctor(model: str, device: str, threads: int | None) -> None:
    """Report versions, device, cache and model, and say what is wrong."""
    from likely.cli.examination import examine

    problems = []
    for finding in examine(model, device, threads):
        click.echo(f"{finding.subject:<16} {line(finding.value)}")
        if finding.problem:
            problems.append(finding.problem)
    for problem in problems:
        click.echo(f"wrong: {line(problem)}")
    if problems:
        sys.exit(FAILED)
    click.echo("nothing is wrong")
