"""What a process tells the kernel of itself: with whom it dies, whom it adopts, who may look into it.

Imports little of the standard library and nothing else: scripts that start before a candidate import it.
"""

import contextlib
import ctypes
import os
import signal
import struct
import sys
import time
from collections.abc import Mapping
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def execute(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Become the command."""
    os.execve(command[0], command, environment)


def bind_to(harness: int, at_its_death: signal.Signals = signal.SIGKILL) -> None:
    """Get a signal when the parent dies, adopt orphaned descendants so that they can be found.

    No privileges can be gained from here on.
    `harness` is the parent or stands above it: a supervisor and a fork server may be between, each bound to
    the one before. Exits if it is gone already.
    """
    prctl(_PR_SET_PDEATHSIG, at_its_death)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    above = os.getppid()
    while above != harness:
        if above <= 1:  # it died before we could ask to be told
            sys.exit("the harness is gone")
        above = _parent_of(above)


def give_up_privileges() -> None:
    """Give away root's privileges, now and in the next program, except for looking into folders.

    That one is kept because a folder on the way to the interpreter may be another user's.
    """
    with contextlib.suppress(OSError):  # EPERM: none to give away; EINVAL: beyond the last one
        for capability in range(64):
            if capability != _CAP_DAC_READ_SEARCH:
                prctl(_PR_CAPBSET_DROP, capability)
    kept = 1 << _CAP_DAC_READ_SEARCH if os.geteuid() == 0 else 0
    _keep_capabilities(kept)


def _keep_capabilities(kept: int) -> None:
    """Drop all others at once: the bounding set alone waits for the next exec. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; then their upper halves
    if libc.capget(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capget failed")
    kept &= struct.unpack_from("=I", held, 4)[0]
    if libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def hide() -> None:
    """Keep memory, environment and descriptors of this process from others of the same user, except root."""
    prctl(_PR_SET_DUMPABLE, 0)


def show() -> None:
    """Undo `hide`, which a fork inherits and a new program does not."""
    prctl(_PR_SET_DUMPABLE, 1)


def go_first() -> None:
    """Have the processor whenever it is wanted, before all others, where that is allowed: to root, mostly."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def end_descendants() -> None:
    """Kill every descendant of this process, which must be their reaper: so it inherits their orphans.

    Before others get their turn, and without waiting for one death before the next: those that are left could
    start more than were killed.
    """
    go_first()
    while found := descendants():
        for one in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)  # so that they get to die


def descendants() -> list[int]:
    """All that descend from this process, children first, with those that are dead but not reaped."""
    found = _children("self")
    for one in found:
        found += _children(str(one))
    return found


def tasks() -> int:
    """How many processes and threads there are on this machine."""
    with open("/proc/loadavg") as load:  # noqa: PTH123
        return int(load.read().split()[3].partition("/")[2])


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")


def _children(parent: str) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # it is gone
        for task in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 (pathlib takes longer to import than this)
            with contextlib.suppress(OSError), open(f"/proc/{parent}/task/{task}/children") as children:  # noqa: PTH123
                found += map(int, children.read().split())
    return found


def _parent_of(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
        return int(stat.read().rpartition(b")")[2].split()[1])
    return 0
