"""How much of a disk a folder takes, while somebody hostile is writing in it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

MB = 2**20
MOST_MB = 16384
MOST_ENTRIES = 100_000
LEAST_FREE_MB = 256  # on the disk, whoever took the rest
LOOKS_FRACTION = 0.05  # of the time, at most, is spent on looking
LEAST_PAUSE_S = 1.0


class Watched:
    """A folder that is looked at now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 0.0

    def excess(self) -> str:
        """What is too much, in one line; empty if nothing is, or if it is too early to look again."""
        began = time.monotonic()
        if began < self._next:
            return ""
        found = excess(self._folder)
        now = time.monotonic()
        self._next = now + max(LEAST_PAUSE_S, (now - began) / LOOKS_FRACTION)
        return found


def excess(folder: Path) -> str:
    """What is too much about the files below a folder, in one line; empty if nothing is."""
    free_mb = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize // MB
    if free_mb < LEAST_FREE_MB:
        return f"the disk is nearly full: {free_mb} MB are left"
    used = 0
    for number, entry in enumerate(_entries(folder)):
        with contextlib.suppress(OSError):  # gone again
            used += entry.stat(follow_symlinks=False).st_blocks * 512
        if number >= MOST_ENTRIES:
            return f"its scratch folder holds more than {MOST_ENTRIES} files"
        if used > MOST_MB * MB:
            return f"its scratch folder takes more than {MOST_MB} MB"
    return ""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All below a folder that can be looked into, parents before children; no link is followed."""
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                yield entry
