"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable


def until(true: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Return once something is true. Raises AssertionError if it is not within the limit."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)
