"""What tests of trials share."""

from collections.abc import Iterator

import pytest

from trainer.warm.harness import Warm


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """What trials are forked from, as in a run."""
    with Warm() as ours:
        yield ours
