"""SHA-256 of files."""

import hashlib
from collections.abc import Callable
from pathlib import Path


def sha256(path: Path, report: Callable[[float], None] | None = None) -> str:
    """Return the SHA-256 of the file, in hex; `report` gets the fraction read."""
    size = max(path.stat().st_size, 1)
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
            done += len(block)
            if report:
                report(done / size)
    return digest.hexdigest()
