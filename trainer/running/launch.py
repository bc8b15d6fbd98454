"""How the harness starts a process: a command, below a supervisor, in a folder, with descriptors.

`cold` executes the command. A fork server (`trainer.warm`) starts the same in a copy of a process that has
imported what it needs; nobody who starts one need know which it was.
"""

import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

SUPERVISE = Path(__file__).with_name("supervise.py")


class Process(Protocol):
    """A supervisor with the command below it, as subprocess.Popen has a process.

    It ends as its command did, and everything that descends from it with it. Its number is nobody else's
    until `poll` or `wait` has told its exit code, which is negative for a signal.
    """

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""

    def terminate(self) -> None:
        """Have the supervisor end everything below it, and itself."""


class Start(Protocol):
    """Starts a command (an absolute path and its arguments) as the leader of a session of its own.

    Input is empty. What it prints goes to the descriptor `output`, or where we print if that is None. Beside
    it the command has the descriptors `inherited`, under their numbers, and no other.
    """

    def __call__(
        self,
        command: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        output: int | None,
        inherited: Collection[int] = (),
    ) -> Process: ...


def cold(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    output: int | None,
    inherited: Collection[int] = (),
) -> Process:
    """Start a new interpreter, which is the supervisor. It dies with the thread that calls this."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(SUPERVISE), str(os.getpid()), *command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=tuple(inherited),
        start_new_session=True,
    )
