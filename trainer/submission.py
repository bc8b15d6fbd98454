"""What a trial leaves for its exam: plain files, copied out of the candidate's reach before anyone looks."""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

MOST_FILES = 1000
MOST_MB = 8192
CHUNK = 2**20


class Refusal(Exception):
    """The candidate broke a rule, or left what the exam cannot accept; says so in one line."""


def copy_submission(source: Path, target: Path) -> None:
    """Copy the regular files of `source` into the new folder `target`.

    Raises Refusal for anything else in there (links, folders, pipes), and for too many files or bytes: what
    is examined must be what was submitted, not what it points to.
    """
    target.mkdir()
    if not stat.S_ISDIR(source.lstat().st_mode):
        raise Refusal("the submission is not a folder")
    files = sorted(source.iterdir())
    if len(files) > MOST_FILES:
        raise Refusal(f"the submission holds {len(files)} files; at most {MOST_FILES} are accepted")
    room = MOST_MB * 2**20
    for file in files:
        room -= _copy(file, target / file.name, room)


def digest(folder: Path) -> bytes:
    """What changes when anything in a submission does, even by a mapping, which leaves no trace in its times.

    A submission too large to be examined is not read.
    """
    found = hashlib.sha256()
    room = MOST_MB * 2**20
    for path in _entries(folder):
        with contextlib.suppress(OSError):  # gone, a link or a pipe
            status = path.lstat()
            found.update(f"{path.name!r} {status.st_mode} {status.st_size} {status.st_mtime_ns}\0".encode())
            room -= status.st_size
            if stat.S_ISREG(status.st_mode) and room >= 0:
                with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                    while chunk := file.read(CHUNK):
                        found.update(chunk)
    return found.digest()


def changed_at(folder: Path) -> float:
    """When a submission was last changed, in unix seconds, as its files have it."""
    times = [0.0]
    for path in [folder, *_entries(folder)]:
        with contextlib.suppress(OSError):
            times.append(path.lstat().st_ctime)
    return max(times)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:MOST_FILES]
    except OSError:  # the candidate removed it, replaced it or locked us out
        return []


def _copy(source: Path, target: Path, room: int) -> int:
    """Bytes copied. A link or a pipe put there after the first look is neither followed nor awaited."""
    if not stat.S_ISREG(source.lstat().st_mode):
        raise Refusal(f"{source.name!r} in the submission is not a regular file")
    copied = 0
    opened = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened, "rb") as ours, target.open("xb") as theirs:
        while chunk := ours.read(CHUNK):
            copied += theirs.write(chunk)
            if copied > room:
                raise Refusal(f"the submission is larger than {MOST_MB} MB")
    return copied
