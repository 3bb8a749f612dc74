"""Watching a download that another program does, by the growth of the folder it writes to."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from likely.models.reporting import ModelUnavailableError, Progress, size_text

# A download that has not moved for this long never will.
STALLED_SECONDS = 180.0
POLL_SECONDS = 0.2


def watch(
    finished: Callable[[float], bool], folder: Path, size: int, shown: str, progress: Progress
) -> None:
    """Report how far the download of `size` bytes into `folder` is until `finished` says so.

    `finished` waits for at most the seconds given. Raises `ModelError` for a stalled download.
    """
    message = f"Downloading {shown} ({size_text(size)})"
    there, moved = folder_size(folder), time.monotonic()
    progress(message, 0.0)
    while not finished(POLL_SECONDS):
        grown = folder_size(folder)
        if grown > there:
            there, moved = grown, time.monotonic()
            progress(message, min(there / max(size, 1), 1.0))
        elif time.monotonic() - moved > STALLED_SECONDS:
            raise ModelUnavailableError(
                f"the download of {shown} stalled: check the network, "
                f"then try `likely models fetch {shown}`"
            )


def folder_size(folder: Path) -> int:
    """Return the size of all files under `folder`, which may change meanwhile."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
    return size
