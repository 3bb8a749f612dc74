"""The program: its commands, and what it leaves with."""

import os
import sys
from typing import NoReturn

import click

from likely import __version__
from likely.cli.bench import bench
from likely.cli.doctor import doctor
from likely.cli.models import models
from likely.cli.predict import predict
from likely.cli.saying import BAD_INPUT, FAILED, OK, note
from likely.cli.serve import serve
from likely.models.reporting import ModelError, ModelUnavailableError


def main() -> NoReturn:
    """Run the command line; exit 0 when done, 2 for bad usage or input, 1 for anything else."""
    # A token may hold characters that a terminal of old cannot show.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        left_with = commands.main(prog_name="likely", standalone_mode=False)
        sys.stdout.flush()
        status = left_with if isinstance(left_with, int) else OK
    except click.UsageError as error:
        context = error.ctx.command_path if error.ctx else "likely"
        status = _fail(f"{error.format_message()} See `{context} --help`.", BAD_INPUT)
    except click.Abort:
        status = _fail("interrupted", FAILED)
    except ModelUnavailableError as error:
        status = _fail(str(error), FAILED)
    except ModelError as error:
        status = _fail(str(error), BAD_INPUT)
    except BrokenPipeError:
        # Whoever read our output has left. Nor should the interpreter flush to nobody at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = FAILED
    sys.exit(status)


def _fail(message: str, status: int) -> int:
    note(message)
    return status


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="likely")
@click.pass_context
def commands(context: click.Context) -> None:
    """Likely shows how likely every token is, while you type."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (predict, models, doctor, bench, serve):
    commands.add_command(command)
