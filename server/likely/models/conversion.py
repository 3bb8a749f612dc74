"""A GGUF file, or a folder with an old kind of tokenizer, -> files that load at once.

The work is done in a child process: transformers prints as it works, takes more than a gigabyte
and seconds of pure Python, and reads a file that somebody else made. The child reports on its
standard output, one JSON object a line, and ends when its parent does.
"""

import contextlib
import errno
import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from likely.models.checkpoint import (
    TOKENIZER,
    TOKENIZER_FILES,
    WEIGHTS,
    check_architecture,
    missing_tokenizer,
    read_config,
)
from likely.models.gguf_metadata import read_metadata
from likely.models.gguf_tokenizer import is_byte_level, tokenizer_config, tokenizer_json
from likely.models.reporting import (
    ModelError,
    ModelUnavailableError,
    Progress,
    first_line,
)
from likely.models.store import link, no_space

Report = Callable[[str, float | None], None]


def convert_gguf(gguf: Path, folder: Path, scratch: Path, shown: str, progress: Progress) -> None:
    """Write the model in `gguf` to `folder` as config, float32 safetensors and tokenizer.

    Raises `ModelError` where the file is corrupt, no causal language model, or of an
    architecture that transformers does not read from GGUF.
    """
    read_metadata(gguf)  # what is wrong with it is said of the file as it was named
    # Transformers would take configuration and tokenizer files that lie beside it as the model's.
    alone = scratch / "gguf" / "model.gguf"
    alone.parent.mkdir()
    link(gguf, alone)
    progress(f"Converting {shown}", None)
    _run_child(["gguf", str(alone), str(folder)], shown, folder, progress)


def build_tokenizer(source: Path, folder: Path, shown: str, progress: Progress) -> None:
    """Write a tokenizer.json to `folder` from the older tokenizer files in `source`."""
    progress(f"Building the tokenizer of {shown}", None)
    _run_child(["tokenizer", str(source), str(folder)], shown, folder, progress)


def _run_child(arguments: list[str], shown: str, folder: Path, progress: Progress) -> None:
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments, shown],
        # The child holds the other end and ends when this closes, however this process dies.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdout is not None  # noqa: S101
    try:
        for line in process.stdout:
            message = json.loads(line)
            match message["kind"]:
                case "progress":
                    progress(message["text"], message["fraction"])
                case "no space":
                    raise no_space(folder.parent, shown)
                case "error":
                    raise ModelError(message["text"])
        if process.wait() != 0:
            raise ModelUnavailableError(
                f"converting {shown} was cut short (exit status {process.returncode}): "
                "most likely there is too little memory; close other programs and try again"
            )
    finally:
        process.kill()
        process.communicate()


def _convert(gguf: Path, folder: Path, shown: str, report: Report) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from likely.models import weights_file

    _read_gguf_once()
    report(f"Converting {shown}: tokenizer", None)
    source = {"gguf_file": gguf.name, "local_files_only": True}
    _write_tokenizer(gguf, folder, shown, source)
    report(f"Converting {shown}: weights", None)
    read: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, dtype=torch.float32, output_loading_info=True, **source
    )
    model, loaded = read
    if missing := sorted(loaded["missing_keys"]):
        raise ModelError(
            f"{shown} lacks weights ({missing[0]} and so on): get the whole file, or another model"
        )
    config = model.config
    # It records how the file was quantized; the weights written here are not.
    with contextlib.suppress(AttributeError):
        del config.quantization_config
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    check_architecture(read_config(folder, shown), shown)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)

    tensors: dict[str, Any] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict().items():
        # Tied weights share their storage and are written once.
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[name] = tensor.numpy()
    needed = sum(tensor.nbytes for tensor in tensors.values())
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    weights_file.write(
        folder / WEIGHTS,
        {name: tensors[name] for name in weights_file.in_fusing_order(tensors)},
        lambda share: report(f"Converting {shown}: writing", share),
    )


def _write_tokenizer(gguf: Path, folder: Path, shown: str, source: dict[str, Any]) -> None:
    metadata = read_metadata(gguf)
    if is_byte_level(metadata):
        # Transformers' reader knows few names of pre-tokenizers, and takes GPT-2's for the rest.
        text = tokenizer_json(metadata, shown)
        (folder / TOKENIZER).write_text(text, encoding="utf-8")
        config = json.dumps(tokenizer_config(metadata), ensure_ascii=False, indent=1)
        (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")
        return
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(gguf.parent, **source).save_pretrained(folder)


def _read_gguf_once() -> None:
    """Halve the time: transformers parses the file three times, in Python.

    It also builds the same table of tensor names for every module of the model.
    """
    gguf: Any = importlib.import_module("gguf")
    gguf.GGUFReader = functools.lru_cache(maxsize=1)(gguf.GGUFReader)
    gguf.get_tensor_name_map = functools.lru_cache(maxsize=1)(gguf.get_tensor_name_map)


def _build_tokenizer(source: Path, folder: Path, shown: str) -> None:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=True, trust_remote_code=False
        )
        tokenizer.save_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
        raise missing_tokenizer(shown, first_line(error)) from error
    if not (folder / TOKENIZER).is_file():
        raise missing_tokenizer(shown)
    for path in folder.iterdir():
        if path.name not in TOKENIZER_FILES:
            path.unlink()


def _end_with_parent() -> None:
    # Not through sys.stdin, whose lock the interpreter could not take at its own end.
    os.read(0, 1)
    os._exit(1)


def _child(task: str, source: Path, folder: Path, shown: str) -> int:
    # Libraries print; standard output belongs to the reports.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def send(**message: Any) -> None:
        print(json.dumps(message), file=channel, flush=True)

    reported: tuple[str, float | None] = ("", None)

    def report(text: str, fraction: float | None) -> None:
        nonlocal reported
        rounded = None if fraction is None else round(fraction, 2)
        if (text, rounded) != reported:
            reported = (text, rounded)
            send(kind="progress", text=text, fraction=rounded)

    try:
        if task == "tokenizer":
            _build_tokenizer(source, folder, shown)
        else:
            _convert(source, folder, shown, report)
    except MemoryError:
        return 1
    except Exception as error:
        send(**_explained(error, shown))
    return 0


def _explained(error: Exception, shown: str) -> dict[str, Any]:
    """Return the message to send for `error`, which may be anything a broken file makes raise."""
    reason = first_line(error)
    if isinstance(error, ModelError):
        text = str(error)
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"kind": "no space"}
    elif "not supported" in reason:
        text = f"{shown} cannot be converted ({reason}): choose another model"
    else:
        text = f"{shown} is truncated or corrupt ({reason}): get the file again"
    return {"kind": "error", "text": text}


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
