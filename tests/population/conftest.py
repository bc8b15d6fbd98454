"""What all tests of the population share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.population.folders import in_memory


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's own, in memory."""
    with in_memory() as folder:
        yield folder
