"""The owner's end of a fork server: asks for a copy, gives it its order, hears how it ended."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from trainer.examining.examiner import ExamFailed
from trainer.warm.child import NUMBER
from trainer.warm.server import FORK


class Lost(ExamFailed):
    """The fork server died, and with it what it had started: the machine's fault."""


class Forks:
    """A fork server that is ready. Starts commands as `trainer.running.launch.Start` says."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def __call__(
        self,
        command: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        output: int | None,
        inherited: Collection[int] = (),
    ) -> "Forked":
        """Raises Lost."""
        prints = [1, 2] if output is None else [output, output]
        order = {
            "command": [*command],
            "folder": str(folder),
            "env": {**env},
            "numbers": [1, 2, *inherited],
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._channel, [FORK], [theirs.fileno()])
            socket.send_fds(ours, [json.dumps(order).encode()], [*prints, *inherited])
            number = _number(ours)
        except (BrokenPipeError, ConnectionResetError, EOFError) as error:
            ours.close()
            raise Lost("a process could not be forked") from error
        return Forked(ours, number, self)

    def lives(self) -> bool:
        """Whether the server is there; it never says anything, but it can hang up."""
        return self._channel.fileno() >= 0 and not select.select([self._channel], [], [], 0)[0]

    def forget(self, number: int) -> None:
        """What it started under this number has ended, and the number may be somebody else's."""
        with contextlib.suppress(OSError):  # it may be no more
            self._channel.send(NUMBER.pack(number))

    def close(self) -> None:
        """Let the server end, and with it what it has started."""
        self._channel.close()


class Forked:
    """A supervisor that a fork server started: a `trainer.running.launch.Process`."""

    def __init__(self, connection: socket.socket, pid: int, forks: Forks) -> None:
        self.pid = pid
        self._connection, self._forks = connection, forks
        self._ended: int | Lost | None = None
        self._ending = False

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Raises Lost if it ended because the fork server did."""
        if self._ended is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            with self._connection:
                self._ended = self._heard()
            self._forks.forget(self.pid)
        if isinstance(self._ended, Lost):
            raise self._ended
        return self._ended

    def terminate(self) -> None:
        if self.poll() is None:
            self._ending = True
            os.kill(self.pid, signal.SIGTERM)

    def _heard(self) -> int | Lost:
        try:
            return _number(self._connection)
        except (EOFError, ConnectionResetError):
            if self._ending:
                return -signal.SIGTERM
            if not self._forks.lives():
                return Lost("the fork server died")
            return -signal.SIGKILL


def _number(connection: socket.socket) -> int:
    message = connection.recv(NUMBER.size)
    if not message:
        raise EOFError
    return int(NUMBER.unpack(message)[0])
