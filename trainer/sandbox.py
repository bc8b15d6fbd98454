"""Confines a process: what it may read and write, what it may use, and an end that comes with its parent's.

`confined(command)` is the same command behind the script `walls/confine.py`, which takes limits and rules
upon itself and then becomes the command. A confined process

- reads the interpreter, system libraries, a few facts about the machine and itself, and what it is given;
- writes its own scratch folder, which is also its home and its place for caches, and nothing else; /dev/shm
  is its own too where the system allows, and closed to it where not; System V memory and message queues,
  locks on and watches of files that it shares with others do not exist for it;
- has no socket but pairs of them, no signal for, no look into and no say over any process outside, even as
  root, and no namespace in which it could be root again (`walls/landlock.py`, `walls/syscalls.py`);
- finds no name in its environment that is not listed here, gains no privilege and has lost root's;
- has limits of memory, processes, open files, the size of a file and processor time, and goes first when the
  machine runs out of memory; what its folder and its family grow to is watched by `running/watch.py`, which
  also sees to it that none of them outlives it (`running/supervise.py`).

`trainer.checks.proof` shows whether the kernel really holds all this.

What is not covered:

- UDP, unix sockets, the modes of files and all else that `walls/syscalls.py` forbids, on processors for
  which it has no table.
- Signals to and abstract sockets of other processes, on kernels before 6.12; TCP before 6.7, where, however,
  no socket can be made at all. On CUDA unix sockets can be made, but not connected.
- Side channels: time, caches, the load of the machine and of the card and what the kernel counts (free memory
  and disk, open files, numbers of processes), the names of files and when they were last read (stat needs no
  right to read).
- Memory: the limit holds for each process and not for all together, and not for pages of /dev/shm, which has
  one of its own, nor of files in memory. On CUDA there is none, since the driver reserves far more addresses
  than there is memory.
- The number of processes is unlimited for root; the watcher and the supervisor then end the trial when they
  see too many, the latter before anyone else gets a turn, unless root was denied that too.
- Locks: a family of processes has none on files either, though it is told that it has. Touching a file that
  is not there (utimensat) seems to succeed too, and makes none.
- GPU: memory that an earlier process left on the card is cleared by the driver, not here; its ioctls are a
  large part of the kernel that is open to a candidate, and bugs there are not held back by anything here. The
  model server on CUDA uses the machine's own /dev/shm, which CUDA's sharing needs: it can read and write what
  it can name there. Device files that the driver has yet to make when a process starts stay closed to it.
- Disk: what is deleted and still open is not seen in a folder's size, and what is in a folder it has closed
  only by root; the watcher ends the trial when the disk itself is nearly full.
- Bugs of the kernel.
"""

import importlib.util
import json
import math
import os
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from trainer.walls import confine
from trainer.walls.process import bind_to as bind_to
from trainer.walls.process import end_descendants as end_descendants
from trainer.walls.process import hide as hide

Sandbox: TypeAlias = Literal["auto", "off"]  # off: limits, a clean environment and an end, but no rules

MEMORY_FRACTION = 0.8  # of the machine's memory, for each process that computes on the CPU

# Never a name that could hold a key: what is not listed does not exist for a candidate.
INHERITED = (
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "TZ",
)  # fmt: skip


def environment(scratch: str, device: str, told: Mapping[str, str]) -> dict[str, str]:
    """All a process finds in its environment: `told` and what it needs to run at all.

    Home, temporary files and compiler caches are in `scratch`: nothing carries over to the next trial. A
    confined process may write there, and nowhere else.
    """
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if device == "cpu":
        kept["CUDA_VISIBLE_DEVICES"] = ""
        # Never the caller's own setting: an actor of Ray's has one thread, and a score must not depend on who
        # started the trial.
        kept["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
        # Threads that wait for each other spinning starve whatever shares their core; then the score measures
        # how busy the machine was. With few spins a step on idle cores takes as long as ever.
        kept["GOMP_SPINCOUNT"] = "1000"
    return kept | {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # card 0 is then the same for torch as for the driver's own tools
        "HOME": scratch,
        "TMPDIR": scratch,
        "TORCHINDUCTOR_CACHE_DIR": f"{scratch}/inductor",
        "TRITON_CACHE_DIR": f"{scratch}/triton",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        **told,
    }


def confined(
    command: Sequence[str],
    device: str,
    *,
    reads: Sequence[str | Path] = (),
    peers: Sequence[str | Path] = (),
    limit_s: float | None = None,
    idle: bool = False,
    sandbox: Sandbox = "auto",
) -> list[str]:
    """`command` (an absolute path and its arguments), confined. It dies with the thread that starts it.

    It must be started with an `environment`, whose scratch folder it may write, and by this process or by
    `watch.run` in it. It may also read the files its command names and `reads`, files or folders, and share
    memory with other processes in the folders `peers`. `limit_s` is the time it will be given, from which
    follows how long the processors may work for it. If it is `idle` it gives way to all else.
    """
    cores = len(os.sched_getaffinity(0))
    named = [word for word in command if word.startswith("/") and os.path.isfile(word)]  # noqa: PTH113
    settings = {
        "sandbox": sandbox,
        "device": device,
        "reads": [*_interpreter(), *named, *map(str, reads)],
        "peers": [*map(str, peers)],
        "packages": _packages(),
        "memory_mb": _memory_mb(device),
        "idle": idle,
        "cpu_s": math.ceil((limit_s + 1) * (cores + 1)) if limit_s is not None else 0,
    }
    return [sys.executable, "-I", "-S", confine.__file__, str(os.getpid()), json.dumps(settings), *command]


def _interpreter() -> list[str]:
    """Where Python, its packages and what they are linked with lie: never a whole repository with them."""
    folders = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    linked = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), os.environ.get("CUDA_HOME", "")]
    return list(dict.fromkeys(folders + [path for path in linked if path.startswith("/")]))


def _packages() -> str:
    """The folder that holds landlockpy: the script knows no packages, since any of them could run code."""
    found = importlib.util.find_spec("landlockpy")
    return str(Path(found.origin).parent.parent) if found is not None and found.origin else ""


def _memory_mb(device: str) -> int:
    if device == "cuda":  # which reserves address space far beyond any memory there is
        return 0
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * MEMORY_FRACTION) // confine.MB
