"""Is there room: on the disks a run writes to, and in memory?"""

import contextlib
import os
import tempfile
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from trainer.doctor.finding import Finding
from trainer.hardware import MIB
from trainer.running.disk import LEAST_FREE_MB, free_mb

# A run's folder grows by logs and one trial's scratch; on a GPU a submission alone may be gigabytes.
LEAST_MB = 2 * LEAST_FREE_MB  # below the half of it, a watcher ends every trial
ENOUGH_MB = {"cpu": 2_000, "cuda": 20_000}
# A trial and its exam hold three processes with torch, Ray some more.
LEAST_MIB, ENOUGH_MIB = 1_500, {"cpu": 4_000, "cuda": 12_000}
RAY_MIB = 256  # of shared memory; Ray's store takes half of it
CGROUP = Path("/sys/fs/cgroup/memory.max")
SHARED = Path("/dev/shm")


class Memory(Struct, frozen=True):
    """In MiB."""

    total: int
    available: int
    limit: int | None = None  # a container's, if it has one
    shared: int | None = None  # room in /dev/shm, if there is one


def disk(name: str, folder: Path, device: str) -> Finding:
    """Whether there is room in `folder`, or where it would be made; `name` says what it is for."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    return room(name, there, free_mb(there), os.access(there, os.W_OK | os.X_OK), device)


def temporary(device: str) -> Finding:
    """Whether there is room for temporary files."""
    try:
        return disk("temporary", Path(tempfile.gettempdir()), device)
    except FileNotFoundError as error:
        return Finding("temporary", "missing", str(error), "set TMPDIR to a folder that you may write")


def room(name: str, folder: Path, room_mb: float, writable: bool, device: str) -> Finding:
    """What follows from `room_mb` MB that are left for us in `folder`."""
    found = f"{room_mb / 1000:,.1f} GB free in {folder}"
    if not writable:
        return Finding(
            name, "missing", f"{folder} may not be written", "mend its permissions, or set LINEAGES_RUNS"
        )
    remedy = "make room there, or set " + ("TMPDIR" if name == "temporary" else "LINEAGES_RUNS")
    if room_mb < LEAST_MB:
        return Finding(name, "missing", f"{found}: trials would be stopped", remedy)
    if room_mb < ENOUGH_MB[device]:
        return Finding(name, "warning", f"{found}: a long run may fill it", remedy)
    return Finding(name, "ok", found)


def memory(device: str) -> tuple[Finding, ...]:
    """Whether there is memory enough."""
    found = psutil.virtual_memory()
    limit, shared = None, None
    with contextlib.suppress(OSError, ValueError):  # ValueError: it says "max"
        limit = int(CGROUP.read_text()) // MIB
    with contextlib.suppress(OSError):
        shared = int(free_mb(SHARED))
    return memory_judged(Memory(found.total // MIB, found.available // MIB, limit, shared), device)


def memory_judged(memory: Memory, device: str) -> tuple[Finding, ...]:
    """What follows; a second line if Ray's shared memory is small."""
    limit = memory.total if memory.limit is None else min(memory.limit, memory.total)
    usable = min(limit, memory.available)
    found = f"{usable / 1024:,.1f} of {limit / 1024:,.1f} GiB available"
    status: tuple[Finding, ...] = (Finding("memory", "ok", found),)
    remedy = "close other programs, or give the container more"
    if usable < LEAST_MIB:
        status = (Finding("memory", "missing", f"{found}: trials and their exam do not fit", remedy),)
    elif usable < ENOUGH_MIB[device]:
        status = (Finding("memory", "warning", f"{found}: trials may run out of it", remedy),)
    if memory.shared is not None and memory.shared < RAY_MIB:
        small = f"/dev/shm has room for {memory.shared} MiB: Ray and exams use the disk instead, or fail"
        status += (Finding("memory", "warning", small, "give the container more: --shm-size=1g"),)
    return status
