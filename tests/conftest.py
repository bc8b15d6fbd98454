"""What all tests share, before any of them imports torch."""

import os

import pytest

# The tensors of tests are small: on a machine with anything else to do, a second thread is waited for longer
# than it saves. Processes that tests start inherit this; a trial is told its own number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: where several processes share the work, none has one left at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
