"""Where models come from: a name as the user gives it -> a folder that can be loaded.

The folder holds config.json, safetensors and tokenizer.json, and loads with plain transformers.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from likely.models import checkpoint, default_model, hub
from likely.models.checksum import sha256
from likely.models.conversion import build_tokenizer, convert_gguf
from likely.models.reporting import ModelError as ModelError
from likely.models.reporting import ModelUnavailableError as ModelUnavailableError
from likely.models.reporting import Progress as Progress
from likely.models.reporting import silent
from likely.models.store import Build, Store, cache_directory, link, storage_error

DEFAULT_MODEL = default_model.NAME
# Names a folder with the weights of the notebook this project grew from.
DISTILGPT2_VARIABLE = "LIKELY_DISTILGPT2"

# What it is, and the bytes of its weights, which are nearly all there is to fetch.
_SUGGESTED = {
    "distilgpt2": ("82 million parameters, the model of many courses", 353_000_000),
    "gpt2": ("124 million parameters, English", 548_000_000),
    "HuggingFaceTB/SmolLM2-360M": ("360 million parameters, English and code", 724_000_000),
    "Qwen/Qwen2.5-0.5B": ("494 million parameters, many languages", 988_000_000),
}


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that is cached or could be; `size` in bytes: on disk, or else of the download."""

    name: str
    detail: str
    cached: bool
    size: int | None = None


def locate(
    model: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    cache_directory: Path | None = None,
    progress: Progress = silent,
) -> Path:
    """Return the folder of `model`, fetching and converting it first where that is needed.

    `model` is the default model's name, a hub id, a folder or a .gguf file. Raises `ModelError`.
    """
    kind, name = _resolve(model)
    store = _store(cache_directory)
    match kind:
        case _Kind.DEFAULT:
            return _default(store, offline, progress)
        case _Kind.FILE:
            return _converted(Path(name), model, store, progress)
        case _Kind.FOLDER:
            return _checked(Path(name), model, store, progress)
        case _Kind.HUB:
            return _hub(name, revision, store, offline, progress)


def cached_folder(
    model: str, *, revision: str | None = None, cache_directory: Path | None = None
) -> Path | None:
    """Return where `model` lies on this machine, None where `locate` would have to prepare it."""
    kind, name = _resolve(model)
    store = _store(cache_directory)
    match kind:
        case _Kind.DEFAULT:
            return store.find(name)
        case _Kind.FILE:
            return store.find(_gguf_name(Path(name), store, model, silent))
        case _Kind.FOLDER:
            return Path(name)
        case _Kind.HUB:
            return hub.find(name, revision)


def fetch(
    model: str,
    *,
    revision: str | None = None,
    cache_directory: Path | None = None,
    progress: Progress = silent,
) -> Path:
    """Like `locate`, but ask the hub for a newer version of a hub model that is cached."""
    kind, name = _resolve(model)
    if kind is not _Kind.HUB:
        return locate(model, cache_directory=cache_directory, progress=progress)
    folder = hub.fetch(name, revision, progress)
    return _checked(folder, model, _store(cache_directory), progress)


def remove(model: str, *, cache_directory: Path | None = None) -> bool:
    """Remove what is cached of `model`; False where nothing is. The user's own files stay."""
    kind, name = _resolve(model)
    store = _store(cache_directory)
    match kind:
        case _Kind.DEFAULT:
            return store.remove(name, model)
        case _Kind.FILE:
            return store.remove(_gguf_name(Path(name), store, model, silent), model)
        case _Kind.FOLDER:
            raise ModelError(f"{model} is a folder of yours: Likely removes only what it cached")
        case _Kind.HUB:
            try:
                return hub.remove(name) > 0
            except OSError as error:
                raise ModelUnavailableError(f"cannot remove {model}: {error}") from error


def list_models(cache_directory: Path | None = None) -> list[ModelEntry]:
    """Return the cached models and some that could be fetched, the default model first."""
    store = _store(cache_directory)
    return [*_made_here(store), *_on_the_hub()]


class _Kind(Enum):
    DEFAULT = "default"
    HUB = "hub"
    FOLDER = "folder"
    FILE = "file"


def _resolve(model: str) -> tuple[_Kind, str]:
    name = model.strip()
    if not name:
        raise hub.not_a_model(model)
    if name == DEFAULT_MODEL:
        return _Kind.DEFAULT, name
    if name == "distilgpt2" and (folder := os.environ.get(DISTILGPT2_VARIABLE)):
        if not Path(folder).expanduser().is_dir():
            raise ModelError(
                f"{DISTILGPT2_VARIABLE} names no folder ({folder}): correct or unset it"
            )
        return _Kind.FOLDER, str(Path(folder).expanduser())
    path = Path(name).expanduser()
    if path.is_dir():
        return _Kind.FOLDER, str(path)
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise ModelError(
                f"{model} is not a .gguf file: name a .gguf file, or the folder that holds "
                f"config.json and {checkpoint.WEIGHTS}"
            )
        return _Kind.FILE, str(path)
    looks_like_path = (
        path.is_absolute()
        or name[0] in ".~"
        or "\\" in name
        or name.count("/") > 1
        or path.suffix.lower() == ".gguf"
    )
    if looks_like_path:
        raise ModelError(f"there is no file or folder {model}: correct the path of the model")
    return _Kind.HUB, name


def _store(chosen: Path | None) -> Store:
    return Store(cache_directory(chosen))


def _default(store: Store, offline: bool, progress: Progress) -> Path:
    name = DEFAULT_MODEL

    def build(folder: Path, scratch: Path) -> dict[str, Any]:
        gguf = default_model.installed_gguf()
        if gguf is None:
            if offline:
                raise hub.offline(name)
            gguf = default_model.fetch_gguf(scratch, progress)
        convert_gguf(gguf, folder, scratch, name, progress)
        return {"source": name, "sha256": default_model.GGUF_SHA256}

    if store.find(name) is None:
        store.require_space(default_model.SPACE_NEEDED, name)
    return _prepared(store, name, name, build, progress)


def _converted(gguf: Path, shown: str, store: Store, progress: Progress) -> Path:
    name = _gguf_name(gguf, store, shown, progress)

    def build(folder: Path, scratch: Path) -> dict[str, Any]:
        convert_gguf(gguf, folder, scratch, shown, progress)
        return {"source": str(gguf.absolute())}

    return _prepared(store, name, shown, build, progress)


def _prepared(store: Store, name: str, shown: str, build: Build, progress: Progress) -> Path:
    folder = store.prepare(name, shown, build, progress)
    try:
        _check_files(folder, shown)
    except ModelError:
        # Somebody or a failing disk damaged it after it was made: make it anew.
        progress(f"The cached {shown} is damaged", None)
        store.remove(name, shown)
        folder = store.prepare(name, shown, build, progress)
        _check_files(folder, shown)
    return folder


def _check_files(folder: Path, shown: str) -> None:
    checkpoint.read_config(folder, shown)
    checkpoint.check_weights(folder, shown)
    if not checkpoint.has_tokenizer(folder, shown):
        raise checkpoint.missing_tokenizer(shown)


def _hub(
    identifier: str, revision: str | None, store: Store, offline: bool, progress: Progress
) -> Path:
    folder = hub.find(identifier, revision)
    if folder is None:
        if offline:
            raise hub.offline(identifier)
        folder = hub.fetch(identifier, revision, progress)
    return _checked(folder, identifier, store, progress)


def _checked(folder: Path, shown: str, store: Store, progress: Progress) -> Path:
    try:
        config = checkpoint.read_config(folder, shown)
        checkpoint.check_architecture(config, shown)
        checkpoint.check_weights(folder, shown)
        if checkpoint.has_tokenizer(folder, shown):
            return folder
        return _with_tokenizer(folder, shown, store, progress)
    except OSError as error:
        raise ModelError(f"cannot read {shown}: {error.strerror or error}") from error


def _with_tokenizer(source: Path, shown: str, store: Store, progress: Progress) -> Path:
    """Return a folder in the store that links to `source` and has a tokenizer.json."""
    files = [path for path in sorted(source.iterdir()) if path.is_file()]
    if not any(path.name in checkpoint.TOKENIZER_SOURCES for path in files):
        raise checkpoint.missing_tokenizer(shown)
    key = hashlib.sha256(
        json.dumps([[str(path.absolute()), *_identity(path)] for path in files]).encode()
    ).hexdigest()

    def build(folder: Path, _scratch: Path) -> dict[str, Any]:
        build_tokenizer(source, folder, shown, progress)
        for path in files:
            if path.suffix in (".json", ".safetensors") and not (folder / path.name).exists():
                link(path, folder / path.name)
        return {}

    return store.prepare(f"tokenizer-{key[:16]}", shown, build, progress)


def _gguf_name(gguf: Path, store: Store, shown: str, progress: Progress) -> str:
    """Return the store's name for the content of `gguf`, read only when the file has changed."""
    try:
        identity = json.dumps([str(gguf.resolve()), *_identity(gguf)])
        note = store.root / "hashes" / hashlib.sha256(identity.encode()).hexdigest()[:32]
        try:
            content = note.read_text(encoding="ascii")
        except (OSError, ValueError):
            content = sha256(gguf, lambda share: progress(f"Reading {shown}", share))
            note.parent.mkdir(parents=True, exist_ok=True)
            beside = note.with_name(f"{note.name}.{os.getpid()}")
            beside.write_text(content, encoding="ascii")
            beside.replace(note)
    except OSError as error:
        raise storage_error(error, store.root, shown) or ModelError(
            f"cannot read {shown}: {error.strerror or error}"
        ) from error
    return f"gguf-{content[:16]}"


def _identity(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _made_here(store: Store) -> Iterator[ModelEntry]:
    detail = "SmolLM2-135M-Instruct, 135 million parameters, English; the default"
    folder = store.find(DEFAULT_MODEL)
    size = default_model.WHEEL_SIZE if folder is None else _size(folder)
    yield ModelEntry(DEFAULT_MODEL, detail, folder is not None, size)
    for name in store.names():
        source = store.remembered(name).get("source")
        if name.startswith("gguf-") and source:
            yield ModelEntry(str(source), "converted GGUF file", True, _size(store.find(name)))


def _on_the_hub() -> Iterator[ModelEntry]:
    cached = hub.cached()
    for model in cached:
        yield ModelEntry(model.identifier, "hub model", True, model.size)
    there = {model.identifier for model in cached}
    for name, (detail, size) in _SUGGESTED.items():
        if not {name, hub.moved(name)} & there:
            yield ModelEntry(name, detail, False, size)


def _size(folder: Path | None) -> int | None:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder else None
