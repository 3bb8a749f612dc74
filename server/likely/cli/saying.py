"""What commands say beside their answers, and what they leave with."""

import click

from likely.text.escaping import line

OK, FAILED, BAD_INPUT = 0, 1, 2


def note(message: str) -> None:
    """Say something beside the answer."""
    click.echo(f"likely: {line(message)}", err=True)
