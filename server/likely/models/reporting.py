"""What model code tells its caller: progress while it works, one line when it cannot go on."""

from collections.abc import Callable

Progress = Callable[[str, float | None], None]
"""Called with a message and a fraction from 0 to 1 (None: unknown), from the loading thread.

It may raise to abandon the work; whatever was begun is then cleaned up.
"""


class ModelError(Exception):
    """One line: what happened, with which model or file, and what to do."""


class ModelUnavailableError(ModelError):
    """The model may be right, but this machine cannot provide it now: network, disk, rights."""


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def silent(message: str, fraction: float | None) -> None:
    """Report nothing."""


def size_text(size: int) -> str:
    """Return a size in bytes as people read it: `93 MB`, `1.5 GB`."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.0f} MB" if size < 999.5e6 else f"{size / 1e9:.1f} GB"
