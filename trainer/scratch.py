"""A folder for what trials leave behind, known to be dead when its owner is, however that died.

The owner holds a lock on the folder itself, under flock(2), which the kernel ends with it, in whatever
container it is. Whoever makes a folder beside it removes those that nobody holds. Not covered: what is
elsewhere, and file systems without flock, on which no folder can be made.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.trial import clear_scratch

_PREFIX = "lineages-scratch-"


@contextmanager
def own_scratch(within: Path) -> Iterator[Path]:
    """A new folder in `within` for the block, after those of owners that are gone were removed."""
    for folder in within.glob(f"{_PREFIX}*"):
        _clear_dead(folder)
    folder, lock = _made(within)
    try:
        yield folder
    finally:
        clear_scratch(folder)
        os.close(lock)


def _made(within: Path) -> tuple[Path, int]:
    """A new folder, and the lock on it; before it is locked it may be taken for one that is dead."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within))
        lock = _lock(folder)
        if lock is not None and folder.exists():
            return folder, lock


def _clear_dead(folder: Path) -> None:
    lock = _lock(folder)
    if lock is not None:
        clear_scratch(folder)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock on a folder of ours; None where somebody has it, or it is not ours."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone, another user's, or not a folder
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if os.fstat(lock).st_uid != os.getuid():
        os.close(lock)
        return None
    return lock
