"""A harness's fork server: started when it is first needed, again when it has died, never twice at a time."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
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
    """Has a fork server for the trials of one harness; `with` ends it. It dies with the harness."""

    def __init__(self) -> None:
        self.problem = ""  # why there is none and there will be none, in one line
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._forks: Forks | None = None
        self._has: tuple[frozenset[str], str] = frozenset(), ""

    def start(self, packages: frozenset[str], device: str, home: Path) -> Start:
        """What starts processes that need `packages` for work on `device`; `cold` if no server can be had.

        `home` is where a run clears away what a killed harness has left. May be called by several threads: a
        server that works for one is not replaced by one that has more for another.
        """
        with self._lock:
            if self.problem:
                return cold
            has, on = self._has
            lives = self._forks is not None and self._forks.lives()
            if not lives or not packages <= has or device != on:
                if lives and self._forks is not None and self._forks.works():
                    return cold
                self.close()
                self._has = packages | has, device
                self._begin(home)
            return self._forks or cold

    def close(self) -> None:
        """End the server, and all that it has started."""
        if self._forks is not None:
            self._forks.close()
        if self._server is not None:
            self._server.wait()
        self._forks = self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, home: Path) -> None:
        packages, device = self._has
        modules = dict.fromkeys([*ALWAYS, *(name for each in packages for name in BY_PACKAGE[each])])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as said:
            self._server = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(os.getpid()), str(theirs.fileno()), *modules],
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
                self._server.kill()
                log = Log()
                said.seek(0)
                log.write(said.read())
                self.problem = log.reason(self._server.wait())
                return
        self._forks = Forks(ours)


def _ready(channel: socket.socket) -> bool:
    channel.settimeout(START_S)
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        if channel.recv(len(READY)):
            channel.settimeout(None)
            return True
    return False
