"""What a trial leaves for its exam: plain files, copied out of the candidate's reach before anyone looks."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
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

    The times of all files are noted before any is read, and small files are read first: while a large one is,
    nothing else can change unnoticed. A submission too large to be examined is not read.
    """
    found = hashlib.sha256()
    files: list[tuple[int, Path]] = []
    for path in _entries(folder):
        with contextlib.suppress(OSError):  # gone
            status = path.lstat()
            found.update(f"{path.name!r} {status.st_mode} {status.st_size} {status.st_ctime_ns}\0".encode())
            if stat.S_ISREG(status.st_mode):
                files.append((status.st_size, path))
    room = MOST_MB * 2**20
    for size, path in sorted(files):
        room -= size
        with contextlib.suppress(OSError):  # gone, or a link or a pipe by now
            if room >= 0:
                with os.fdopen(_open(path), "rb") as file:
                    for at, chunk in _parts(file.fileno()):
                        found.update(at.to_bytes(8, "little") + chunk)
    return found.digest()


def changed_at(folder: Path) -> float:
    """When a submission was last changed, in unix seconds, as its files have it."""
    times = [0.0]
    for path in [folder, *_entries(folder)]:
        with contextlib.suppress(OSError):
            times.append(path.lstat().st_ctime)
    return max(times)


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):  # the candidate removed it or locked us out
        if stat.S_ISDIR(folder.lstat().st_mode):  # and no link into /proc, where reading has no end
            return sorted(folder.iterdir())[:MOST_FILES]
    return []


def _copy(source: Path, target: Path, room: int) -> int:
    """How large it is. A link or a pipe put there after the first look is neither followed nor awaited."""
    if not stat.S_ISREG(source.lstat().st_mode):
        raise Refusal(f"{source.name!r} in the submission is not a regular file")
    with os.fdopen(_open(source), "rb") as ours, target.open("xb") as theirs:
        size = os.fstat(ours.fileno()).st_size
        if size > room:
            raise Refusal(f"the submission is larger than {MOST_MB} MB")
        for at, chunk in _parts(ours.fileno()):
            theirs.seek(at)
            theirs.write(chunk)
        theirs.truncate(size)
    return size


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)


def _parts(file: int) -> Iterator[tuple[int, bytes]]:
    """What is in an open file, in chunks with their places; its holes take neither time nor a disk's room."""
    at, end = _next(file, 0, os.SEEK_DATA), 0
    while at is not None:
        end = _next(file, at, os.SEEK_HOLE) or at
        while at < end and (chunk := os.pread(file, min(CHUNK, end - at), at)):
            yield at, chunk
            at += len(chunk)
        at = _next(file, end, os.SEEK_DATA)


def _next(file: int, at: int, what: int) -> int | None:
    """Where the next data or hole begins; None behind the last data."""
    try:
        return os.lseek(file, at, what)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
