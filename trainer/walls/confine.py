"""Takes limits and rules upon itself and then becomes the command: the inside of `trainer.sandbox.confined`.

    python -I -S confine.py HARNESS SETTINGS COMMAND...

So no code of a candidate runs unconfined, and no thread of the caller has to run Python between fork and
exec. SETTINGS are JSON, see `main`. It may write in the folder that is both HOME and TMPDIR of its
environment, as `trainer.sandbox.environment` makes it: without one it refuses to start. A fork server calls
`main` in a process that has one thread, and executes nothing.
"""

import contextlib
import ctypes
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
sys.path.append(os.path.dirname(os.path.dirname(HERE)))  # noqa: PTH120

from trainer.walls.idle import give_way  # noqa: E402
from trainer.walls.process import bind_to, execute, give_up_privileges, show  # noqa: E402

MB = 2**20
FILE_MB = 8192  # the largest file a process may write
OPEN_FILES = 4096
TASKS = 2048  # processes and threads of the user, beyond all that there are
SHARED_MEMORY = "/dev/shm"
SHARED_MEMORY_SIZE = "25%"  # of the machine's memory

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 2, 4, 0x4000, 1 << 18


def main(
    harness: int,
    command: list[str],
    *,
    sandbox: str,
    device: str,
    reads: list[str],
    peers: list[str],
    packages: str,
    memory_mb: int,
    cpu_s: int,
    idle: bool,
    become: Callable[[list[str], Mapping[str, str]], NoReturn] = execute,
) -> NoReturn:
    """`packages` is the folder from which landlockpy is imported; limits of 0 are none."""
    if idle:
        give_way()  # before anything is imported, which a trial would feel
    show()  # or what /proc says of it, limits among it, would be root's
    scratch = os.environ.get("HOME", "")
    if not scratch or scratch != os.environ.get("TMPDIR"):
        sys.exit("a confined process needs an environment made for it, which names its scratch folder")
    own = [scratch]
    if sandbox != "off" and not peers and _succeeds(_share_nothing):
        _share_nothing()
        own.append(SHARED_MEMORY)
    bind_to(harness)  # not before: entering a user namespace undoes it
    _limit_all(memory_mb, cpu_s)
    _write("/proc/self/oom_score_adj", "1000")  # when memory runs out, the candidate goes first
    give_up_privileges()
    # What it imports, trusted processes import too: it must not be the one to write their bytecode.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if sandbox != "off":
        _restrict(reads, own, device, peers, packages)
        if SHARED_MEMORY not in own:  # then there are no semaphores either, and no workers to compile with
            environment.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    become(command, environment)


def _restrict(reads: list[str], own: list[str], device: str, peers: list[str], packages: str) -> None:
    sys.path.append(packages)
    from trainer.walls.landlock import restrict
    from trainer.walls.syscalls import forbid

    restrict(reads, own, device, peers)
    forbid(device)


def _share_nothing() -> None:
    """Have /dev/shm and System V memory of our own, which go when we do. Raises OSError where we may not.

    Without privileges it takes a user namespace, which many systems allow to nobody.
    """
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.unshare(_CLONE_NEWNS | _CLONE_NEWIPC | (_CLONE_NEWUSER if user else 0)))
    if user:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    _checked(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None))
    options = f"mode=1777,size={SHARED_MEMORY_SIZE}".encode()
    _checked(libc.mount(b"tmpfs", SHARED_MEMORY.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, options))


def _succeeds(act: Callable[[], None]) -> bool:
    """Whether `act` would, tried by a child: half of it cannot be undone."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            act()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _limit_all(memory_mb: int, cpu_s: int) -> None:
    with open("/proc/loadavg") as load:  # noqa: PTH123
        tasks = int(load.read().split()[3].partition("/")[2])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, FILE_MB * MB)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, tasks + TASKS)
    if memory_mb:
        _limit(resource.RLIMIT_DATA, memory_mb * MB)
    if cpu_s:
        _limit(resource.RLIMIT_CPU, cpu_s)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[3:], **json.loads(sys.argv[2]))
