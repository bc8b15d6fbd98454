"""How many cores are there for a trial, and does anything else use them? On a CPU that is part of a score."""

import contextlib
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from trainer.doctor.finding import Finding

LOOK_S = 0.5
QUOTA = Path("/sys/fs/cgroup/cpu.max")
BUSY_CORES = {"cpu": 0.3, "cuda": 0.8}  # fraction of our cores from which other programs are worth a word
WAITING = 1.5  # processes for each core, over the last minute


class Load(Struct, frozen=True):
    """What the cores that are ours are doing."""

    cores: int
    busy: float  # of them, in cores, over half a second
    average: float  # processes that ran or waited, over the last minute, on the whole machine
    machine: int  # cores of the whole machine
    quota: float | None = None  # cores' worth of time that a container may use, if it is limited


def cores(device: str) -> Finding:
    """The cores, while nothing of ours runs yet."""
    return judged(look(), device)


def look() -> Load:
    """Watch the cores for half a second."""
    ours = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    percent = psutil.cpu_percent(LOOK_S, percpu=True)
    used = [percent[core] for core in ours if core < len(percent)] or percent
    return Load(
        len(used), sum(used) / 100, os.getloadavg()[0], machine=psutil.cpu_count() or 1, quota=_quota()
    )


def judged(load: Load, device: str) -> Finding:
    """What follows for trials on `device`."""
    found = f"{load.cores}, {load.busy:.1f} of them busy now, load average {load.average:.1f}"
    if load.quota is not None and load.quota < load.cores:
        return Finding(
            "cores", "warning", f"{found}; this container gets the time of {load.quota:g}: threads stall",
            "give it whole cores (docker run --cpuset-cpus), not a share of time",
        )  # fmt: skip
    crowded = load.average > WAITING * load.machine and device == "cpu"
    if load.busy > BUSY_CORES[device] * load.cores or crowded:
        spoils = "steps are the score" if device == "cpu" else "they can keep the card waiting"
        return Finding(
            "cores", "warning", f"{found}: other programs take time from trials, and {spoils}",
            "stop them (top lists them), or compare scores of quiet hours only",
        )  # fmt: skip
    return Finding("cores", "ok", found)


def _quota() -> float | None:
    with contextlib.suppress(OSError, ValueError):  # ValueError: it says "max"
        allowed, period = QUOTA.read_text().split()
        return int(allowed) / int(period)
    return None
