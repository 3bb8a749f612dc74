"""The real default model, for tests of truth."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from likely.engines.engine import Driver
from likely.engines.loading import load
from likely.models import sources


@pytest.fixture(scope="session")
def folder() -> Path:
    """The default model's folder, fetched and converted where it is not cached."""
    try:
        return sources.locate(sources.DEFAULT_MODEL)
    except sources.ModelUnavailableError as error:
        pytest.skip(f"the default model cannot be had here: {error}")


@pytest.fixture(scope="session")
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def driver(folder: Path, _two_threads: None) -> Driver:
    return Driver(load(folder, name=sources.DEFAULT_MODEL, device="cpu", threads=2))
