"""Models on the Hugging Face hub, through its own cache; safetensors only, no code."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likely.models.checkpoint import (
    TOKENIZER,
    TOKENIZER_FILES,
    TOKENIZER_SOURCES,
    WEIGHTS,
    WEIGHTS_INDEX,
    check_architecture,
    pickle_only,
    read_config,
)
from likely.models.download import folder_size, watch
from likely.models.reporting import ModelError, Progress
from likely.models.store import no_space, storage_error

# Short names of old, and where these models live now.
_MOVED = {
    "distilgpt2": "distilbert/distilgpt2",
    "gpt2": "openai-community/gpt2",
}
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model in the hub's cache."""

    identifier: str
    size: int


def find(identifier: str, revision: str | None) -> Path | None:
    """Return the cached snapshot of the model, without asking the network.

    Raises `ModelError` where `identifier` cannot be the id of a model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    for name in (identifier, _MOVED.get(identifier)):
        if name is None:
            continue
        try:
            folder = Path(
                snapshot_download(
                    name, revision=revision, local_files_only=True, allow_patterns=["config.json"]
                )
            )
        except HFValidationError:
            raise not_a_model(identifier) from None
        except OSError:
            continue
        if (folder / "config.json").is_file() and _whole(folder):
            return folder
    return None


def fetch(identifier: str, revision: str | None, progress: Progress) -> Path:
    """Download the model into the hub's cache; return its folder.

    Raises `ModelError` naming the id where there is no network, no such model, no access, or
    nothing in it that can be used.
    """
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    api = huggingface_hub.HfApi(library_name="likely")
    progress(f"Looking up {identifier}", None)
    call = _InBackground(
        lambda: api.model_info(
            identifier, revision=revision, timeout=_ANSWER_SECONDS / 2, files_metadata=True
        )
    )
    try:
        if not call.done(_ANSWER_SECONDS):
            raise _unreachable(identifier, "no answer")
        info = call.result()
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        wanted = {name: sizes[name] for name in _wanted(sizes, identifier)}
        config = api.hf_hub_download(identifier, "config.json", revision=info.sha)
        check_architecture(read_config(Path(config).parent, identifier), identifier)
        return _download(identifier, revision, wanted, progress)
    except HFValidationError:
        raise not_a_model(identifier) from None
    except ModelError:
        raise
    except Exception as error:
        raise _explained(identifier, revision, error) from error


def cached() -> list[CachedModel]:
    """Return the causal language models in the hub's cache, by name."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except (CacheNotFound, OSError):
        return []
    found = []
    for repository in sorted(repositories, key=lambda repository: repository.repo_id):
        folder = find(repository.repo_id, None) if repository.repo_type == "model" else None
        if folder and _continues_text(folder):
            found.append(CachedModel(repository.repo_id, repository.size_on_disk))
    return found


def remove(identifier: str) -> int:
    """Remove every revision of the model from the hub's cache; return the bytes freed."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return 0
    revisions = [
        revision.commit_hash
        for repository in cache.repos
        if repository.repo_type == "model"
        and repository.repo_id in (identifier, _MOVED.get(identifier))
        for revision in repository.revisions
    ]
    strategy = cache.delete_revisions(*revisions)
    strategy.execute()
    return int(strategy.expected_freed_size)


def moved(identifier: str) -> str | None:
    """Return where a model with a short name of old lives now."""
    return _MOVED.get(identifier)


def not_a_model(model: str) -> ModelError:
    """Return the error for a name that cannot be anything."""
    return ModelError(
        f"{model!r} is neither smollm2-135m, a hub id (org/name), a folder nor a .gguf file: "
        "`likely models` lists some"
    )


def offline(identifier: str) -> ModelError:
    """Return the error for a model that is not cached while the network may not be used."""
    return ModelError(
        f"{identifier} is not on this machine and offline is set: turn likely.offline off once, "
        f"or run `likely models fetch {identifier}`"
    )


def _whole(folder: Path) -> bool:
    # A download that was cut short may have left any of the files out.
    if not any((folder / name).is_file() for name in (TOKENIZER, *TOKENIZER_SOURCES)):
        return False
    if (folder / WEIGHTS).is_file():
        return True
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return False
    named = set(_SHARD.findall(index.read_text(encoding="utf-8")))
    return all((folder / name).is_file() for name in named)


def _continues_text(folder: Path) -> bool:
    try:
        architectures = read_config(folder, str(folder)).get("architectures") or ()
    except ModelError:
        return False
    return any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in architectures)


def _wanted(sizes: dict[str, int], identifier: str) -> list[str]:
    if "config.json" not in sizes:
        if any(name.endswith(".gguf") for name in sizes):
            raise ModelError(
                f"{identifier} holds GGUF files: download one of them and name its path instead"
            )
        raise ModelError(f"{identifier} is no transformers model: it has no config.json")
    wanted = ["config.json", "generation_config.json", *TOKENIZER_FILES]
    if WEIGHTS in sizes:
        wanted.append(WEIGHTS)
    elif WEIGHTS_INDEX in sizes:
        wanted += [WEIGHTS_INDEX, *(name for name in sizes if _SHARD.fullmatch(name))]
    elif any(name.endswith((".bin", ".pt", ".pth")) for name in sizes):
        raise pickle_only(identifier)
    else:
        raise ModelError(f"{identifier} has no {WEIGHTS}: choose another model or revision")
    return [name for name in wanted if name in sizes]


def _download(
    identifier: str, revision: str | None, sizes: dict[str, int], progress: Progress
) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.file_download import repo_folder_name

    total = sum(sizes.values())
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    blobs = cache / repo_folder_name(repo_id=identifier, repo_type="model") / "blobs"
    if shutil.disk_usage(cache).free < total - folder_size(blobs):
        raise no_space(cache, identifier, total)
    call = _InBackground(
        lambda: snapshot_download(
            identifier, revision=revision, allow_patterns=list(sizes), library_name="likely"
        )
    )
    watch(call.done, blobs, total, identifier, progress)
    return Path(call.result())


class _InBackground:
    """A call on a daemon thread: one that hangs holds up neither us nor the end of the process."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error

    def done(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explained(identifier: str, revision: str | None, error: Exception) -> ModelError:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    chain = list(_causes(error))
    for cause in chain:
        if told := storage_error(cause, Path(constants.HF_HUB_CACHE), identifier):
            return told

    def raised(kind: type[BaseException]) -> bool:
        return any(isinstance(cause, kind) for cause in chain)

    if raised(OfflineModeIsEnabled):
        return offline(identifier)
    if raised(GatedRepoError):
        return ModelError(
            f"{identifier} is gated: accept its terms on the hub, then log in with `hf auth login`"
        )
    if raised(RevisionNotFoundError):
        return ModelError(
            f"{identifier} has no revision {revision!r}: correct or clear likely.revision"
        )
    if raised(RepositoryNotFoundError):
        return ModelError(
            f"there is no model {identifier} on the hub, or it is private: check the spelling, "
            "or log in with `hf auth login`"
        )
    if raised(HfHubHTTPError):
        return _unreachable(identifier, str(error).splitlines()[0].split(" for url")[0])
    return _unreachable(identifier, str(chain[-1]).splitlines()[0] or type(chain[-1]).__name__)


def _unreachable(identifier: str, reason: str) -> ModelError:
    return ModelError(
        f"{identifier} is not on this machine and the hub cannot be reached "
        f"({reason.rstrip('.')}): "
        "check the name and the network, or choose a folder, a .gguf file or smollm2-135m"
    )
