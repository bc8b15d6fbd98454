"""One scheduler for a run, and one for each device: who holds which is settled by the kernel.

A lock is a file under flock(2), which ends with the process that holds it, however that process dies; the
file itself stays behind and means nothing. Not covered: two machines or containers that do not share the
file do not see each other, and a file system without flock is refused.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.cards import own
from trainer.errors import BadInput

Lock = FileLock

_MOMENT_S = 0.2


def take(path: Path, doing: str, mend: str, mode: int = 0o644) -> Lock:
    """Lock `path` at once, or raise BadInput that names who holds it; `release()` gives it back.

    `doing` completes "another scheduler (pid 7, since ...)", `mend` says what to do about it.
    """
    # Whoever only looks whether it is taken holds it for a moment.
    lock = FileLock(path, timeout=_MOMENT_S, mode=mode, thread_local=False, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout:
        raise BadInput(f"another scheduler ({_holder(path)}) {doing}; {mend}") from None
    except OSError as error:
        raise BadInput(f"cannot lock {path}: {error.strerror or error}; make its folder writable") from error
    return lock


@contextmanager
def hold_device(device: str, folder: Path | None = None) -> Iterator[None]:
    """Be the only scheduler of this machine that uses `device` for the block: cpu, or a card by its name.

    cuda is the first card that can be seen. `folder` holds the lock files; the machine's temporary folder if
    None.
    """
    name = re.sub(r"[^a-z0-9]+", "-", (own() if device == "cuda" else device).lower())
    path = (folder or Path(tempfile.gettempdir())) / f"lineages-{name}.lock"
    mend = "wait until it is done, or stop it: two trials on one device spoil each other's scores"
    lock = take(path, f"is using {device}", mend, mode=0o666)  # whoever comes next may be another user
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold_cards(cards: Sequence[str], count: int, folder: Path | None = None) -> Iterator[tuple[str, ...]]:
    """Hold `count` of the `cards`, the first that no other scheduler uses; gives their names.

    Raises BadInput if there are too few, or too few are free.
    """
    if len(cards) < count:
        raise BadInput(f"--gpus {count}: only {len(cards)} can be seen on this machine; ask for as many")
    held: list[str] = []
    refused: list[BadInput] = []
    with ExitStack() as stack:
        for card in cards:
            if len(held) == count:
                break
            try:
                stack.enter_context(hold_device(card, folder))
                held.append(card)
            except BadInput as error:
                refused.append(error)
        if len(held) < count:
            raise refused[0]
        yield tuple(held)


def _sign(file: int) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)


def _holder(path: Path) -> str:
    """Who signed the lock, and when; only ever shown to a person, since it may change while it is read."""
    try:
        pid, since = path.read_text(errors="replace").strip(), path.stat().st_mtime
    except OSError:
        return "pid unknown"
    return f"pid {pid or 'unknown'}, since {datetime.fromtimestamp(since):%Y-%m-%d %H:%M:%S}"
