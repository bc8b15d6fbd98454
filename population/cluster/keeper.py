"""Ends what Ray leaves running when its own daemon or its scheduler is killed: some of it stays a minute.

    python -I keeper.py SESSION < PIPE

The other end of PIPE is the scheduler's alone, so it closes however that dies. Only orphans are killed, and
only those named by Ray in the scheduler's own session (a number, as of getsid): a process of Ray's whose
daemon is gone has nothing left to do. An agent's or git's process is not Ray's and may finish what it began.
"""

import contextlib
import os
import signal
import sys
import time

import psutil  # type: ignore[import-untyped]

DAEMON = "raylet"
CLOSED = b"closed"  # what a scheduler says that ends well
_PAUSE_S = 0.1
_DYING_S = 3.0  # in which the daemon of a killed scheduler dies, and its children become orphans
_LIMIT_S = 60.0  # whoever cannot be killed by then is waiting for a disk, not for us


def main(session: int) -> None:
    """Wait for the pipe's end, then kill until there are no orphans."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    said = sys.stdin.buffer.read()
    ended = time.monotonic()
    enough = ended + (0.0 if said == CLOSED else _DYING_S)
    while (_killed(session) or time.monotonic() < enough) and time.monotonic() < ended + _LIMIT_S:
        time.sleep(_PAUSE_S)


def _killed(session: int) -> int:
    """How many orphans there were."""
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session and _is_orphan(process):
                process.kill()
                count += 1
    return count


def _is_orphan(process: psutil.Process) -> bool:
    if not process.name().startswith("ray::") or process.status() == psutil.STATUS_ZOMBIE:
        return False
    parent = process.parent()
    return parent is None or parent.name() != DAEMON or parent.status() == psutil.STATUS_ZOMBIE


if __name__ == "__main__":
    main(int(sys.argv[1]))
