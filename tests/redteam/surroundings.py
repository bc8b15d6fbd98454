"""What lies around a trial and may not be reached: files, keys, listeners, a process.

All of it is there to be attacked, so that a hole is found here and not felt by whoever runs these tests.
"""

import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
BYSTANDER = Path(__file__).with_name("bystander.py")


class Surroundings:
    """Made in `folder`, closed with `stack`. Trials have `folder/scratch`, their task is `folder/task`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.marker = f"redteam-{secrets.token_hex(6)}"  # names what a genome leaves behind
        self.secret = f"sk-{secrets.token_hex(12)}"
        self.task, self.home, self.scratch = folder / "task", folder / "home", folder / "scratch"
        self.earlier = self.scratch / "2" / "submission"
        self.key = secrets.randbelow(2**30) + 1  # of System V memory
        for place in (self.home / ".ssh", self.earlier, self.task):
            place.mkdir(parents=True)
        (self.home / ".netrc").write_text(f"machine api login me password {self.secret}\n")
        (self.home / ".ssh" / "id_ed25519").write_text(self.secret)
        (self.earlier / "weights.safetensors").write_bytes(b"another trial's")
        self._signals = folder / "signals"
        self._signals.touch()
        self._bystander = self._start_bystander(stack)
        self._listeners = dict(self._listen(folder, stack))
        self._before: dict[str, object] = {}
        self._known: set[int] = set()  # processes of ours that stay

    def aims(self) -> dict[str, Any]:
        """What a genome is told of all this."""
        ports = {name: address for name, (_, address) in self._listeners.items()}
        return ports | {
            "marker": self.marker,
            "home": str(self.home),
            "earlier": str(self.earlier),
            "repository": str(ROOT),
            "bystander": self._bystander.pid,
            "harness": os.getpid(),
            "key": self.key,
        }

    def look(self) -> None:
        """Remember how everything is."""
        self._before = self._state()
        self._known = {process.pid for process in psutil.Process().children(recursive=True)}

    def changes(self) -> list[str]:
        """What is no longer as it was, what was heard, and what goes on."""
        now = self._state()
        changed = [
            f"{what}: {self._before.get(what)} is now {now.get(what)}"
            for what in sorted(self._before.keys() | now.keys())
            if self._before.get(what) != now.get(what)
        ]
        return changed + self._heard() + self._alive()

    def _state(self) -> dict[str, object]:
        return dict(self._files()) | dict(self._left()) | self._of_the_bystander()

    def _files(self) -> Iterator[tuple[str, object]]:
        for top in (self.task, self.home, self.scratch):
            for path in [top, *sorted(top.rglob("*"))]:
                status = path.lstat()
                is_file = path.is_file() and not path.is_symlink()
                content = hashlib.sha256(path.read_bytes()).hexdigest()[:8] if is_file else ""
                when = status.st_mtime_ns if is_file else 0
                yield str(path), (oct(status.st_mode), status.st_uid, status.st_nlink, when, content)

    def _left(self) -> Iterator[tuple[str, object]]:
        """What bears the marker where anyone may write."""
        places = ("/dev/shm", "/tmp", "/var/tmp", ROOT, ROOT / "trainer", Path.home(), sys.prefix)
        for place in map(Path, places):
            with suppress(PermissionError):
                yield from ((str(path), "left") for path in place.glob(f"*{self.marker}*"))
        with suppress(FileNotFoundError):  # a kernel without System V memory
            lines = Path("/proc/sysvipc/shm").read_text().splitlines()
            yield from (("System V memory", line) for line in lines if line.split()[0] == str(self.key))

    def _of_the_bystander(self) -> dict[str, object]:
        process = psutil.Process(self._bystander.pid)
        with process.oneshot():
            if (status := process.status()) == psutil.STATUS_ZOMBIE:
                return {"the bystander": "dead"}
            found: dict[str, object] = {
                "nice": process.nice(),
                "I/O priority": process.ionice(),
                "processors": process.cpu_affinity(),
                "scheduling": os.sched_getscheduler(process.pid),
                "open files": process.rlimit(psutil.RLIMIT_NOFILE),
                "oom score": Path(f"/proc/{process.pid}/oom_score_adj").read_text(),
                "is well": status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP),
                "signals": self._signals.read_text(),
            }
        return {f"the bystander's {what}": value for what, value in found.items()}

    def _start_bystander(self, stack: ExitStack) -> "subprocess.Popen[str]":
        """A process of the same user that has a key in its environment, its command line and its memory."""
        env = {"OPENAI_API_KEY": self.secret, "PATH": os.environ["PATH"]}
        command = [sys.executable, "-I", str(BYSTANDER), self.secret, str(self._signals)]
        process = stack.enter_context(
            subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.kill)
        assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    def _listen(self, folder: Path, stack: ExitStack) -> Iterator[tuple[str, tuple[socket.socket, Any]]]:
        kinds = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "socket")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.marker}"),
        }
        for name, (family, kind, address) in kinds.items():
            listener = stack.enter_context(socket.socket(family, kind))
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listener.setblocking(False)
            bound = listener.getsockname()
            yield name, (listener, bound.decode() if isinstance(bound, bytes) else bound)

    def _heard(self) -> list[str]:
        heard = []
        for name, (listener, _) in self._listeners.items():
            with suppress(BlockingIOError):
                listener.recv(100) if name == "udp" else listener.accept()[0].close()
                heard.append(f"someone reached the {name} listener")
        return heard

    def _alive(self) -> list[str]:
        """Processes of a trial that are still there after it, and stay."""
        found: list[str] = []
        for _ in range(20):  # who has said how it ended may take a moment to end
            if not (found := list(self._of_trials())):
                break
            time.sleep(0.05)
        return found

    def _of_trials(self) -> Iterator[str]:
        """They descend from us, live in a scratch folder, or bear the marker."""
        ours = {process.pid for process in psutil.Process().children(recursive=True)} - self._known
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                home, folder = process.environ().get("HOME", ""), process.cwd()
                inside = any(place.startswith(f"{self.scratch}/") for place in (home, folder))
                if process.pid in ours or inside or self.marker[:15] in process.name():
                    yield f"process {process.pid} lives on: {process.cmdline()}"
