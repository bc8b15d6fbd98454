"""Runs a command as its own child and lets nothing that descends from it live on.

    python -I -S supervise.py HARNESS COMMAND...

The kernel gives orphans to the nearest ancestor that has asked for them, and no descendant can change that:
however often a daemon forks and whatever session it leaves, it stays below this process, which the command
may not signal. When the command ends, this kills the rest and ends as the command did; on SIGTERM, and when
its parent dies, it kills everything. A fork server calls `main` where it has no interpreter to start.
"""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

from trainer.process import bind_to, end_descendants, execute, hide


def main(
    harness: int,
    command: list[str],
    become: Callable[[list[str], Mapping[str, str]], NoReturn] = execute,
    tell: Callable[[int], None] = lambda code: None,
) -> NoReturn:
    """Fork a child that will `become` the command; when all below is dead, `tell` its exit code, end so."""
    signal.signal(signal.SIGTERM, lambda number, frame: _end_all())
    hide()
    bind_to(harness, signal.SIGTERM)
    us = os.getpid()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        bind_to(us)
        become(command, os.environ)
    ended, status = os.wait()
    while ended != child:  # an orphan
        ended, status = os.wait()
    end_descendants()
    code = os.waitstatus_to_exitcode(status)
    tell(code)
    _end_as(code)


def _end_all() -> None:
    end_descendants()
    _end_as(-signal.SIGTERM)


def _end_as(code: int) -> NoReturn:
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL needs no reset
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
