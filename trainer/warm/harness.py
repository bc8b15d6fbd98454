"""A harness's fork server: started when it is first needed, and again when it has died or lacks something."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from trainer.running.launch import Start, cold
from trainer.running.log import Log
from trainer.sandbox import environment
from trainer.warm.forks import Forks
from trainer.warm.server import READY

SCRIPT = Path(__file__).with_name("__main__.py")
START_S = 120.0  # importing torch from a slow disk

# What the trusted processes of a trial import, and by what a task itself imports the rest: only packages that
# start no thread and leave the card alone when they are imported.
ALWAYS = (
    "trainer.exam",
    "trainer.feed.feeder",
    "trainer.walls.landlock",
    "trainer.walls.syscalls",
    "trainer.warm.forks",
)
BY_PACKAGE = {
    "numpy": ("numpy",),
    # torch._dynamo takes a second, and every optimiser of torch's imports it.
    "torch": (
        "torch",
        "torch._dynamo",
        "numpy",
        "safetensors.torch",
        "trainer.examining.agreement",
        "trainer.examining.server",
    ),
}
_IMPORT = re.compile(r"^\s*(?:import|from)\s+(\w+)", re.MULTILINE)


def imported(*texts: str) -> frozenset[str]:
    """The packages, of those worth importing once, that Python texts seem to import."""
    return frozenset(name for text in texts for name in _IMPORT.findall(text)) & BY_PACKAGE.keys()


class Warm:
    """Has a fork server for the trials of one harness; `with` ends it. It dies with the harness.

    If a trial needs more than it has imported, another takes its place that has all of that. Who was given
    the first one keeps it, and it ends when they are done.
    """

    def __init__(self) -> None:
        self.problem = ""  # why there is none and there will be none, in one line
        self._lock = threading.Lock()
        self._servers: list[_Server] = []  # the last one is given to whoever comes

    @contextlib.contextmanager
    def start(self, packages: frozenset[str], device: str, home: Path) -> Iterator[Start]:
        """What starts processes that need `packages` for work on `device`, as long as the block lasts.

        It is `cold` if no server can be had. `home` is where a run clears away what a killed harness has
        left. May be called by several threads.
        """
        modules = frozenset(ALWAYS).union(*(BY_PACKAGE[package] for package in packages))
        with self._lock:
            server = None if self.problem else self._having(modules, device, home)
            if server is not None:
                server.users += 1
        try:
            yield server.forks if server else cold
        finally:
            with self._lock:
                if server is not None:
                    server.users -= 1
                self._end_unused(self._servers[:-1])

    def close(self) -> None:
        """End all servers, and what they have started."""
        for server in self._servers:
            server.end()
        self._servers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _having(self, modules: frozenset[str], device: str, home: Path) -> "_Server | None":
        """A server that has these modules: the one that is there, or a new one that has its modules too."""
        last = self._servers[-1] if self._servers else None
        if last is not None and last.device == device:
            if modules <= last.modules and last.forks.lives():
                return last
            modules |= last.modules
        self._end_unused(self._servers)
        try:
            self._servers.append(_Server(modules, device, home))
        except _NotReady as error:
            self.problem = str(error)
            return None
        return self._servers[-1]

    def _end_unused(self, servers: Sequence["_Server"]) -> None:
        for server in [server for server in servers if not server.users]:
            self._servers.remove(server)
            server.end()


class _NotReady(Exception):
    """A fork server did not begin: why, in one line."""


class _Server:
    """A fork server, and how many trials have it."""

    def __init__(self, modules: frozenset[str], device: str, home: Path) -> None:
        """Raises _NotReady."""
        self.modules, self.device, self.users = modules, device, 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(os.getpid()), str(theirs.fileno()), *sorted(modules)],
                cwd="/",
                env=environment(str(home), device, {}),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            if not _ready(ours):
                ours.close()
                self._process.kill()
                log = Log()
                said.seek(0)
                log.write(said.read())
                raise _NotReady(log.reason(self._process.wait()))
        self.forks = Forks(ours)

    def end(self) -> None:
        self.forks.close()
        self._process.wait()


def _ready(channel: socket.socket) -> bool:
    channel.settimeout(START_S)
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        if channel.recv(len(READY)):
            channel.settimeout(None)
            return True
    return False
