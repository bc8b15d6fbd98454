"""What tests of trials share."""

from collections.abc import Iterator
from functools import partial

import pytest

from trainer.running import watch
from trainer.running.launch import Start
from trainer.warm.harness import Warm


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """What trials are forked from, as in a run."""
    with Warm() as ours:
        yield ours


@pytest.fixture(scope="session")
def torch_at_hand() -> Iterator[Warm]:
    """What processes are forked from that would otherwise take two seconds each to import torch."""
    with Warm() as ours:
        yield ours


@pytest.fixture
def forked(torch_at_hand: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts processes that find torch imported."""
    home = tmp_path_factory.getbasetemp()
    with torch_at_hand.start(frozenset({"torch", "numpy"}), "cpu", home) as start:
        assert not torch_at_hand.problem
        yield start


@pytest.fixture
def rehearsing(forked: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflights rehearse in such processes."""
    monkeypatch.setattr("trainer.preflight.run", partial(watch.run, start=forked))
