"""The journal: one line of JSON for each thing that happened, in order, on disk before anyone acts on it.

It is the only truth of a run. An entry counts once its line ends in a newline; the piece of a line that a
crash leaves at the end of the file never happened. Anything else that is wrong with the file is refused, not
mended: a journal is never guessed at.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from population.keeping.locks import Lock, take
from population.records import Entry, Event
from population.state import Population, apply
from trainer.errors import BadInput

_decoder = msgspec.json.Decoder(Entry)
_encoder = msgspec.json.Encoder()


class JournalDamaged(BadInput):
    """A line of the journal is not what must stand there."""


def read(path: Path) -> list[Entry]:
    """All entries of the journal at `path`, without a lock: it may be growing meanwhile.

    Raises BadInput if there is none, JournalDamaged if a whole line is not the entry that belongs there.
    """
    try:
        return _entries(path, path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"cannot read the journal {path}: {error.strerror}; is the run's name right?"
        ) from error


def folded(path: Path, entries: Iterable[Entry]) -> Population:
    """The population that follows from the entries of the journal at `path`.

    Raises JournalDamaged for one that reads well and cannot follow what came before.
    """
    population = Population()
    for entry in entries:
        try:
            apply(population, entry)
        except (AssertionError, LookupError, ValueError) as error:
            raise _damaged(path, entry.number, f"one that cannot follow ({error})") from error
    return population


def is_held(path: Path) -> bool:
    """Whether some process is writing the journal at `path`."""
    try:
        take(path.with_suffix(".lock"), "is running it", "wait").release()
    except BadInput:
        return True
    return False


class Journal:
    """The journal of a run, held open by its only writer. `entries` are all it holds, oldest first."""

    def __init__(self, path: Path, file: int, lock: Lock, entries: list[Entry], size: int) -> None:
        self.path = path
        self.entries = entries
        self._file = file
        self._lock = lock
        self._size = size  # bytes of whole lines

    @classmethod
    def open(cls, path: Path) -> Self:
        """Begin the journal at `path`, or go on with it; its folder bears the run's name.

        Raises BadInput if another process writes it or the file cannot be written, JournalDamaged as `read`.
        """
        run = path.absolute().parent.name
        lock = take(path.with_suffix(".lock"), f"is running {run}", "wait until it is done, or stop it")
        try:
            file, entries, size = _open(path)
        except OSError as error:
            lock.release()
            raise BadInput(f"cannot write the journal {path}: {error.strerror}") from error
        except JournalDamaged:
            lock.release()
            raise
        return cls(path, file, lock, entries, size)

    def append(self, event: Event, at: float) -> Entry:
        """Write `event`, which happened at `at` (unix seconds); it is on disk when this returns.

        Raises BadInput if the disk is full or failing, ValueError for an event that would not read back as
        itself (a score that is not a number). Either way the file is as it was before.
        """
        entry = Entry(len(self.entries) + 1, at, event)
        line = _line(entry)
        try:
            self._write(line)
        except OSError as error:
            raise BadInput(
                f"cannot write the journal {self.path}: {error.strerror}; make room, then resume the run"
            ) from error
        self._size += len(line)
        self.entries.append(entry)
        return entry

    def close(self) -> None:
        """Let another scheduler have the run. Closing twice is allowed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._lock.release()

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(None, f"only {written} of {len(line)} bytes could be written")
            os.fsync(self._file)
        except BaseException:  # Ctrl-C too: what the caller is not told of must not stand in the file
            os.ftruncate(self._file, self._size)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> tuple[int, list[Entry], int]:
    """The journal's descriptor, its entries and its size in bytes, cut back to whole lines."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        content = path.read_bytes()
        entries = _entries(path, content)
        size = content.rfind(b"\n") + 1
        os.ftruncate(file, size)
        os.fsync(file)
        _sync_folder(path.parent)
    except BaseException:
        os.close(file)
        raise
    return file, entries, size


def _sync_folder(folder: Path) -> None:
    """A new file's name is on disk only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(entry: Entry) -> bytes:
    """JSON has no NaN and no infinity, and turns them into null: better to refuse them than to lose them."""
    line = _encoder.encode(entry)
    if _decoder.decode(line) != entry:
        raise ValueError(f"an entry must read back as itself: {line.decode()}")
    return line + b"\n"


def _entries(path: Path, content: bytes) -> list[Entry]:
    *lines, _torn = content.split(b"\n")
    return [_entry(path, number, line) for number, line in enumerate(lines, start=1)]


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        entry = _decoder.decode(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, number, str(error)) from error
    if entry.number != number:
        raise _damaged(path, number, f"found entry {entry.number}")
    return entry


def _damaged(path: Path, number: int, found: str) -> JournalDamaged:
    return JournalDamaged(
        f"{path}, line {number}: expected journal entry {number}: {found}; "
        f"restore the file, or keep its first {number - 1} lines to go on from there"
    )
