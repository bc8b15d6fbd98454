"""Two confined processes pass no notes to each other, as the two model servers of an exam would like to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from trainer.sandbox import Sandbox, confined, environment

# What one does, and what the other looks at. Both may read some books and know the number AIM; the
# second knows even the folder and the number of the first, which it would have to guess.
WAYS = {
    "locks of a file": (
        "fcntl.flock(keep(book(1)), fcntl.LOCK_EX)",
        "fcntl.flock(book(1), fcntl.LOCK_EX | fcntl.LOCK_NB)",
    ),
    "locks of a part of a file": (
        "fcntl.fcntl(keep(book(2)), fcntl.F_SETLK, lock(fcntl.F_RDLCK))",
        "fcntl.fcntl(book(2), fcntl.F_GETLK, lock(fcntl.F_WRLCK))",
    ),
    "locks of an open part of a file": (
        "fcntl.fcntl(keep(book(3)), fcntl.F_OFD_SETLK, lock(fcntl.F_RDLCK))",
        "fcntl.fcntl(book(3), fcntl.F_OFD_GETLK, lock(fcntl.F_WRLCK))",
    ),
    "leases of a file": ("keep(book(4))", "fcntl.fcntl(book(4), fcntl.F_SETLEASE, fcntl.F_WRLCK)"),
    "watches of a file": ("book(5).read()", "watched(book(5).name)"),
    "watches of a folder": ("open(os.path.join(os.getcwd(), 'note'), 'w')", "watched(OTHERS)"),
    "memory of System V": ("libc.shmget(AIM, 4096, 0o1666)", "libc.shmget(AIM, 4096, 0o666) < 0"),
    "semaphores of System V": ("libc.semget(AIM, 1, 0o1666)", "libc.semget(AIM, 1, 0o666) < 0"),
    "messages of System V": ("libc.msgget(AIM, 0o1666)", "libc.msgget(AIM, 0o666) < 0"),
    "queues": ("libc.mq_open(QUEUE, 0o102, 0o666, None)", "libc.mq_open(QUEUE, 0) < 0"),
    "shared memory": ("open(f'/dev/shm/{AIM}', 'w')", "os.path.exists(f'/dev/shm/{AIM}')"),
    "abstract sockets": (
        "keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(f'\\0{AIM}')",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect(f'\\0{AIM}')",
    ),
    "nice values": ("os.nice(7)", "os.getpriority(os.PRIO_PROCESS, OTHER)"),
    "priorities of I/O": ("libc.syscall(SET, 1, 0, 3 << 13)", "libc.syscall(GET, 1, OTHER)"),
    "scheduling": (
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
        "os.sched_getscheduler(OTHER)",
    ),
    "processors": ("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])", "os.sched_getaffinity(OTHER)"),
    "limits": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (77, 77))",
        "resource.prlimit(OTHER, resource.RLIMIT_NOFILE)",
    ),
    "names": ("libc.prctl(15, b'note', 0, 0, 0)", "open(f'/proc/{OTHER}/comm').read()"),
}
DOES_AS_TOLD = """
import ctypes, fcntl, os, resource, socket, struct, sys
BOOKS, OTHERS, AIM, OTHER = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
QUEUE = b"/%d" % AIM
SET, GET = (251, 252) if os.uname().machine == "x86_64" else (30, 31)
libc = ctypes.CDLL(None)
kept, watches = [], {}
def book(number):
    return open(f"{BOOKS}/{number}")
def keep(thing):
    kept.append(thing)
    return thing
def lock(kind):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, AIM, 1, 0)
def watched(path):
    if path not in watches:
        watch = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(watch, path.encode(), 0x120) < 0:  # what is opened or created
            raise PermissionError(path)
        watches[path] = watch
    try: return os.read(watches[path], 1000) != b""
    except BlockingIOError: return False
def tidy():
    os.path.exists(f"/dev/shm/{AIM}") and os.remove(f"/dev/shm/{AIM}")
    libc.mq_unlink(QUEUE)
    libc.shmctl(libc.shmget(AIM, 0, 0), 0, None)
    libc.semctl(libc.semget(AIM, 0, 0), 0, 0)
    libc.msgctl(libc.msgget(AIM, 0), 0, None)
for line in sys.stdin:
    try: print(repr(eval(line)), flush=True)
    except OSError as error: print(repr(error), flush=True)
"""


class Pair:
    """Two processes in folders of their own, which do what they are told."""

    def __init__(self, folder: Path, stack: ExitStack, sandbox: Sandbox) -> None:
        (folder / "books").mkdir()
        for number in range(1, 6):
            (folder / "books" / str(number)).touch()
        self._one = self._start(folder, "one", stack, sandbox, 0)
        self._other = self._start(folder, "other", stack, sandbox, self._one.pid)

    def _start(
        self, folder: Path, name: str, stack: ExitStack, sandbox: Sandbox, other: int
    ) -> "subprocess.Popen[str]":
        scratch = folder / name
        scratch.mkdir()
        words = [str(folder / "books"), str(folder / "one"), str(os.getpid()), str(other)]
        command = confined(
            [sys.executable, "-c", DOES_AS_TOLD, *words], "cpu", reads=[folder / "books"], sandbox=sandbox
        )
        process = subprocess.Popen(
            command,
            cwd=scratch,
            env=environment(str(scratch), "cpu", {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        return process

    def passes(self, leaves: str, looks: str) -> tuple[str, str]:
        """What the other sees before and after the one has done something."""
        before = _told(self._other, looks)
        _told(self._one, leaves)
        return before, _told(self._other, looks)

    def tidy(self) -> None:
        """Remove what outlives a process that nothing confines."""
        _told(self._one, "tidy()")


def _told(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin and process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline()


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        made = Pair(tmp_path_factory.mktemp("pair"), stack, request.param)
        yield made
        made.tidy()


@pytest.mark.parametrize("pair", ["auto"], indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_one_sees_nothing_of_what_the_other_does(pair: Pair, way: str) -> None:
    before, after = pair.passes(*WAYS[way])
    assert before and before == after


@pytest.mark.parametrize("pair", ["off"], indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_without_a_sandbox_it_would(pair: Pair, way: str) -> None:
    before, after = pair.passes(*WAYS[way])
    assert before != after
