"""What all tests share, before any of them imports torch."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

# The tensors of tests are small: on a machine with anything else to do, a second thread is waited for longer
# than it saves. Processes that tests start inherit this; a trial is told its own number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says how busy the machine is. Everyone who runs the tests tries other examples,
# but a change that is checked is not to fail for what an older one did.
settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: where several processes share the work, none has one left at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Where several processes share the work, nothing else runs beside a test that is to be alone."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    shared = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    alone = item.get_closest_marker("alone") is not None
    with held(shared / "room", fcntl.LOCK_EX if alone else fcntl.LOCK_SH, shared / "door"):
        return (yield)


@contextmanager
def held(room: Path, how: int, door: Path) -> Iterator[None]:
    """A lock, which whoever waits for it at the door gets before anyone who comes later."""
    with room.open("w") as inside:
        with door.open("w") as queue:
            fcntl.flock(queue, fcntl.LOCK_EX)
            fcntl.flock(inside, how)
        yield
