"""How much of a disk a folder takes, while somebody hostile is writing in it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

MB = 2**20
MOST_MB = 16384
MOST_ENTRIES = 100_000
LONGEST_PATH = 3500  # of what the system takes, 4096 bytes, behind which nothing could be seen
LEAST_FREE_MB = 256  # on the disk, or half of what was free at first if that is less
LOOKS_FRACTION = 0.05  # of the time, at most, is spent on looking
LEAST_PAUSE_S = 1.0


class Watched:
    """A folder that is looked at now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._least_free_mb = min(LEAST_FREE_MB, free_mb(folder) / 2)
        self._next = 0.0

    def excess(self) -> str:
        """What is too much, in one line; empty if nothing is, or if it is too early to look again."""
        began = time.monotonic()
        if began < self._next:
            return ""
        found = excess(self._folder, self._least_free_mb)
        now = time.monotonic()
        self._next = now + max(LEAST_PAUSE_S, (now - began) / LOOKS_FRACTION)
        return found


def excess(folder: Path, least_free_mb: float) -> str:
    """What is too much about the files below a folder, in one line; empty if nothing is."""
    free = free_mb(folder)
    if free < least_free_mb:
        return f"the disk is nearly full: {free:.0f} MB are left"
    used = 0
    for number, entry in enumerate(_entries(folder)):
        with contextlib.suppress(OSError):  # gone again
            used += entry.stat(follow_symlinks=False).st_blocks * 512
        if len(entry.path) > LONGEST_PATH:
            return "its scratch folder holds paths too long to be looked at"
        if number >= MOST_ENTRIES:
            return f"its scratch folder holds more than {MOST_ENTRIES} files"
        if used > MOST_MB * MB:
            return f"its scratch folder takes more than {MOST_MB} MB"
    return ""


def free_mb(folder: Path) -> float:
    """What is left for us on the disk of a folder."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / MB


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All below a folder that can be looked into, parents before children; no link is followed."""
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                yield entry
