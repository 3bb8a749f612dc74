"""The folder in the user's cache where Likely keeps models it has made.

A model appears there whole or not at all: it is built in a sibling folder and renamed. A file
lock per model lets one process build while others wait; holding it proves that unfinished
siblings belong to dead processes, so they are removed.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from likely.models.reporting import (
    ModelError,
    ModelUnavailableError,
    Progress,
    silent,
    size_text,
)

# Counts up when folders that an older version made must be made anew: 2 since the tokenizer of a
# GGUF file is built from what the file says.
FORMAT = 2
STAMP = "likely.json"

Build = Callable[[Path, Path], dict[str, Any]]
"""Gets the empty model folder to fill and a folder for scratch; returns what to remember."""


def cache_directory(chosen: Path | None = None) -> Path:
    """Return the cache: `chosen`, else the variable LIKELY_CACHE, else the user's own cache."""
    if chosen is not None:
        return chosen.expanduser().absolute()
    if named := os.environ.get("LIKELY_CACHE"):
        return Path(named).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("likely", appauthor=False)


class Store:
    """Models under one cache directory, by name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._models = root / "models"

    def find(self, name: str) -> Path | None:
        """Return the folder of `name` where it is there and made by this version's rules."""
        folder = self._models / name
        return folder if _stamp(folder).get("format") == FORMAT else None

    def names(self) -> list[str]:
        """Return the names of the models that are there, sorted."""
        try:
            present = sorted(path.name for path in self._models.iterdir())
        except OSError:
            return []
        return [name for name in present if not name.startswith(".") and self.find(name)]

    def remembered(self, name: str) -> dict[str, Any]:
        """Return what the build of `name` wanted remembered."""
        return _stamp(self._models / name)

    def prepare(self, name: str, shown: str, build: Build, progress: Progress) -> Path:
        """Return the folder of `name`, building it first where it is missing.

        `shown` is the model as the user named it, for messages.
        """
        if folder := self.find(name):
            return folder
        with self._storage(shown), self._locked(name, shown, progress):
            if folder := self.find(name):
                return folder
            self.sweep(but=name)
            self._remove_leftovers(name)
            staging = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=self._models))
            try:
                made, scratch = staging / "model", staging / "scratch"
                made.mkdir()
                scratch.mkdir()
                stamp = {"format": FORMAT, **build(made, scratch)}
                (made / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
                _flush(made)
                self._discard(self._models / name)
                made.replace(self._models / name)
                _flush_directory(self._models)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return self._models / name

    def remove(self, name: str, shown: str) -> bool:
        """Remove `name`; False where there is no such model."""
        folder = self._models / name
        if not folder.exists():
            return False
        with self._storage(shown), self._locked(name, shown, silent):
            self._discard(folder)
            self._remove_leftovers(name)
        return True

    def require_space(self, size: int, shown: str) -> None:
        """Raise `ModelError` where fewer than `size` bytes are free."""
        with self._storage(shown):
            self._models.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._models).free < size:
                raise no_space(self.root, shown, size)

    def sweep(self, but: str | None = None) -> None:
        """Remove what dead processes left of any model except `but`."""
        from filelock import Timeout

        leftovers = [path.name for path in self._models.glob(".*.*")]
        for name in {leftover[1:].rpartition(".")[0] for leftover in leftovers} - {but}:
            with contextlib.suppress(Timeout, OSError), self._lock(name).acquire(timeout=0):
                self._remove_leftovers(name)

    def _lock(self, name: str) -> Any:
        from filelock import FileLock

        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / f"{name}.lock")

    @contextlib.contextmanager
    def _locked(self, name: str, shown: str, progress: Progress) -> Iterator[None]:
        from filelock import Timeout

        self._models.mkdir(parents=True, exist_ok=True)
        lock = self._lock(name)
        while True:
            try:
                lock.acquire(timeout=0.5)
                break
            except Timeout:
                progress(f"Waiting for another process that is preparing {shown}", None)
        try:
            yield
        finally:
            lock.release()

    def _discard(self, folder: Path) -> None:
        # Renamed first: a removal that is cut short must not leave half a model under its name.
        if folder.exists():
            grave = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=self._models))
            folder.replace(grave / "model")
            shutil.rmtree(grave, ignore_errors=True)

    def _remove_leftovers(self, name: str) -> None:
        for leftover in self._models.glob(f".{name}.*"):
            # The random part that mkdtemp adds holds no dot; `.a.b.xyz` is another model's.
            if leftover.name.rpartition(".")[0] == f".{name}":
                shutil.rmtree(leftover, ignore_errors=True)

    @contextlib.contextmanager
    def _storage(self, shown: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self.root, shown) or ModelUnavailableError(
                f"cannot prepare {shown} in {self.root}: {error.strerror or error}"
            ) from error


def storage_error(error: BaseException, place: Path, shown: str) -> ModelError | None:
    """Return what to tell where `error` means that `place` cannot be written to, else None."""
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(place, shown)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ModelUnavailableError(
            f"cannot prepare {shown}: no right to write to {error.filename or place}; "
            "choose another folder with likely.cacheDirectory or LIKELY_CACHE"
        )
    return None


def no_space(place: Path, shown: str, needed: int | None = None) -> ModelError:
    """Return the error for a full disk."""
    amount = f" ({size_text(needed)} are needed)" if needed else ""
    return ModelUnavailableError(
        f"no space left in {place} for {shown}{amount}: free some, or choose another folder "
        "with likely.cacheDirectory or LIKELY_CACHE"
    )


def link(source: Path, target: Path) -> None:
    """Make `target` show the file `source`, without a copy where that is possible."""
    try:
        target.symlink_to(source.resolve())
    except OSError:  # Windows allows links only to some users.
        shutil.copyfile(source, target)


def _stamp(folder: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _flush(folder: Path) -> None:
    # Renaming a folder whose files are still on their way to the disk could, after a power
    # failure, leave a whole name with half a model.
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    _flush_directory(folder)


def _flush_directory(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot flush directories.
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
