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
import select
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
sys.path.append(os.path.dirname(os.path.dirname(HERE)))  # noqa: PTH120

from trainer.walls.process import (  # noqa: E402
    bind_to,
    descendants,
    end_descendants,
    execute,
    go_first,
    hide,
    tasks,
)

MOST_PROCESSES = 1024
LOOKS_S = 0.1
_ANY_DEAD = os.WEXITED | os.WNOHANG | os.WNOWAIT


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
    code = _exit_code(child)
    end_descendants()
    tell(code)
    _end_as(code)


def _exit_code(child: int) -> int:
    """Wait for its end and reap orphans meanwhile.

    A crowd is taken for its end, as if it had been killed: where one doubles without pause, the harness, who
    counts too, gets no turn to look before it is thousands.
    """
    ended, at_first = os.pidfd_open(child), tasks()
    go_first()
    while not select.select([ended], [], [], LOOKS_S)[0]:
        while (dead := os.waitid(os.P_ALL, 0, _ANY_DEAD)) and dead.si_pid != child:
            os.waitpid(dead.si_pid, 0)
        if tasks() > at_first + MOST_PROCESSES and len(descendants()) > MOST_PROCESSES:
            return -signal.SIGKILL
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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
