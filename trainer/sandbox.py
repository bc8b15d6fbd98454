"""Confines a process: limits, a clean environment, and an end that comes with its parent's.

`confined(command)` is the same command behind this very file, run as a script: it binds itself to its
parent, takes limits upon itself and then becomes the command, so that no code of a candidate runs
unconfined and no thread of the caller has to run Python between fork and exec.

What is not covered here: files, signals and the network are open to whatever the user may reach, processes
are limited in number only by the system, limits hold for each process and not for all of them together, and
a process that leaves its session, its reaper and every look at the process tree outlives its trial. Run by
root, a candidate is root: then it can also read and change the processes that hide from it.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

MB = 2**20
FILE_MB = 8192  # the largest file a process may write
OPEN_FILES = 4096
MEMORY_FRACTION = 0.8  # of the machine's memory, for each process that computes on the CPU

# Never a name that could hold a key: what is not listed does not exist for a candidate.
INHERITED = (
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "TZ",
)  # fmt: skip

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def environment(scratch: str, device: str, told: Mapping[str, str]) -> dict[str, str]:
    """All a process finds in its environment: `told` and what it needs to run at all.

    Home, temporary files and compiler caches are in `scratch`: nothing carries over to the next trial.
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


def confined(command: Sequence[str], device: str) -> list[str]:
    """`command` (an absolute path and its arguments), confined. It dies with the thread that starts it."""
    memory_mb = 0
    if device == "cpu":  # CUDA reserves address space far beyond any memory there is
        total_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MB
        memory_mb = int(total_mb * MEMORY_FRACTION)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(memory_mb), *command]


def bind_to(parent: int) -> None:
    """Die when the parent dies, adopt orphaned descendants so that they can be found, gain no privileges."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if os.getppid() != parent:  # it died before we could ask to be told
        sys.exit("the harness is gone")


def hide() -> None:
    """Keep memory, environment and descriptors of this process from others of the same user, except root."""
    _prctl(_PR_SET_DUMPABLE, 0)


def end_descendants() -> None:
    """Kill every descendant of this process, which must be their reaper: so it inherits their orphans."""
    while children := [pid for task in Path("/proc/self/task").iterdir() for pid in _children(task)]:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _children(task: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError):  # the thread has just ended
        return [int(pid) for pid in (task / "children").read_text().split()]
    return []


def _main(parent: int, memory_mb: int, command: list[str]) -> None:
    bind_to(parent)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, FILE_MB * MB)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    if memory_mb:
        _limit(resource.RLIMIT_DATA, memory_mb * MB)
    Path("/proc/self/oom_score_adj").write_text("1000")  # when memory runs out, the candidate goes first
    # What it imports, trusted processes import too: it must not be the one to write their bytecode.
    os.execve(command[0], command, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
