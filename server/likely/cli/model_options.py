"""Options of every command that runs a model."""

from collections.abc import Callable
from typing import Any, get_args

import click

from likely.settings import Device

DEFAULT_MODEL = "smollm2-135m"
DEVICES = get_args(Device)

Command = Callable[..., Any]


def model_options(command: Command) -> Command:
    """Options of every command that runs a model."""
    options = (
        click.option(
            "--model",
            default=DEFAULT_MODEL,
            show_default=True,
            metavar="MODEL",
            help="smollm2-135m, a hub id, a folder or a .gguf file.",
        ),
        click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model."),
        click.option("--offline", is_flag=True, help="Use only what is on this machine."),
        click.option(
            "--device",
            type=click.Choice(DEVICES),
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
