"""Runs one process to its end, or to its limit, and lets nothing of it survive.

The process may print without end, hang, fork, ignore signals, send garbage or fill its folder: what it prints
is drained for ever and kept in part, what it sends is cut into lines of bounded length, and time, files and
processes are measured here. It runs below a supervisor (`supervise.py`), from which no descendant gets away.
"""

import contextlib
import os
import re
import select
import selectors
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import psutil  # type: ignore[import-untyped]

from trainer.hardware import gpu_memory_mb
from trainer.running.disk import Watched
from trainer.running.launch import Start, cold
from trainer.running.log import Log

PULSE_S = 0.3
CHUNK = 2**16
LONGEST_LINE = 2**16
LAST_GASP = 2**22  # bytes still read from the pipes of a process that is gone
MOST_PROCESSES = 512
MOST_THREADS = 4096  # of all of them together: a system has numbers for some 32,000, and root is not limited
DYING_S = 10.0  # given to the supervisor, on a busy machine, before it is killed as well
HIGH_WATER_KB = re.compile(rb"VmHWM:\s+(\d+) kB")
THREADS = re.compile(rb"Threads:\s+(\d+)")


class Overseer(Protocol):
    """Whoever wants to hear from a process and says how long it may go on."""

    def hear(self, line: bytes) -> None:
        """Takes one line the process sent through its telemetry socket: untrusted, of bounded length."""

    def left_s(self) -> float:
        """Seconds the process may go on; it is killed when there are none."""

    def pulse(self, memory_mb: float, processor_s: float) -> None:
        """Called a few times a second, with what it was seen to use: memory on its device, processor time."""


@dataclass(frozen=True)
class Exit:
    """How a process ended. `code` is negative for a signal; `overdue` says that we sent it.

    `excess` is why, in one line, if it was not for the time: it took too much of something else.
    """

    code: int
    overdue: bool
    wall_s: float
    peak_memory_mb: float  # of the command and its descendants together, shared pages counted for each
    excess: str = ""
    at: float = 0.0  # time.monotonic() at which it was over


def run(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    log: Log,
    overseer: Overseer,
    device: str = "cpu",
    inherited: Collection[int] = (),
    start: Start = cold,
    alone: Callable[[], bool] = lambda: True,
) -> Exit:
    """Run `command` in `folder`, as the leader of a session of its own, until it ends or time is up.

    Memory is measured where it computes: on `device`, where `alone` says whether nobody else does. The size
    of `folder` is watched. Of descriptors it has those `inherited` and a telemetry socket, whose number is in
    LINEAGES_TELEMETRY.

    When this returns or raises, the process and all its descendants are dead; those that were never seen
    only if nobody killed the supervisor.
    """
    began = time.monotonic()
    lines = _Lines(overseer.hear)
    with contextlib.ExitStack() as stack:
        printed, prints = _pipe(stack)
        heard, tells = _socket(stack)
        try:
            told = {**env, "LINEAGES_TELEMETRY": str(tells)}
            process = start(command, folder, told, prints, (tells, *inherited))
        finally:
            os.close(prints)
            os.close(tells)
        on_card = partial(_on_card_mb, alone)
        family = _Family(process.pid, on_card if device == "cuda" else _resident_mb)
        bounds = _Bounds(overseer, family, Watched(folder))
        try:
            overdue = _follow(process.pid, {printed: log.write, heard: lines.write}, bounds)
        finally:
            family.kill()
            process.wait()
        for pipe, take in ((printed, log.write), (heard, lines.write)):
            _drain(pipe, take)
    ended = time.monotonic()
    return Exit(process.wait(), overdue, ended - began, family.peak_mb, bounds.excess, ended)


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    ours, theirs = os.pipe()
    stack.callback(os.close, ours)
    os.set_blocking(ours, False)
    return ours, theirs


def _socket(stack: contextlib.ExitStack) -> tuple[int, int]:
    """Like a pipe, but no other process can open either end through /proc, as it could a pipe's."""
    ours, theirs = (end.detach() for end in socket.socketpair())
    stack.callback(os.close, ours)
    os.set_blocking(ours, False)
    return ours, theirs


def _follow(pid: int, pipes: Mapping[int, Callable[[bytes], None]], bounds: "_Bounds") -> bool:
    """Serve the pipes until the process has ended (False) or is out of bounds (True)."""
    ended = os.pidfd_open(pid)
    next_pulse = 0.0
    with contextlib.closing(selectors.DefaultSelector()) as selector:
        selector.register(ended, selectors.EVENT_READ)
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        try:
            while (left := bounds.left_s()) > 0:
                if time.monotonic() >= next_pulse:
                    bounds.look()
                    next_pulse = time.monotonic() + PULSE_S
                ready = [key.fd for key, _ in selector.select(min(left, PULSE_S))]
                if ended in ready:
                    return False
                for pipe in ready:
                    if not _read(pipe, pipes[pipe]):
                        selector.unregister(pipe)
            return True
        finally:
            os.close(ended)


def _read(pipe: int, take: Callable[[bytes], None]) -> int:
    """Bytes read: 0 at the end of the pipe. Raises BlockingIOError if there is nothing yet."""
    chunk = os.read(pipe, CHUNK)
    take(chunk)
    return len(chunk)


def _drain(pipe: int, take: Callable[[bytes], None]) -> None:
    """Read what a dead process left in a pipe, even if someone unseen still holds its other end."""
    total = 0
    with contextlib.suppress(BlockingIOError):
        while total < LAST_GASP and (size := _read(pipe, take)):
            total += size


class _Lines:
    """Cuts a stream into lines and drops those that are too long."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._rest = b""
        self._too_long = False

    def write(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if not self._too_long:
                self._hear(line)
            self._too_long = False
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._too_long = b"", True


class _Bounds:
    """Of time, as the overseer says, and of files and processes."""

    def __init__(self, overseer: Overseer, family: "_Family", disk: Watched) -> None:
        self._overseer, self._family, self._disk = overseer, family, disk
        self.excess = ""

    def left_s(self) -> float:
        return 0.0 if self.excess else self._overseer.left_s()

    def look(self) -> None:
        self._family.look()
        self.excess = self._disk.excess()
        if self._family.size > MOST_PROCESSES:
            self.excess = f"it started more than {MOST_PROCESSES} processes"
        if self._family.threads > MOST_THREADS:
            self.excess = f"it started more than {MOST_THREADS} threads"
        self._overseer.pulse(self._family.peak_mb, self._family.processor_s)


class _Family:
    """A supervisor and every descendant that was ever seen of it. Its own memory is not theirs."""

    def __init__(self, pid: int, memory_mb: Callable[[Collection[int]], float]) -> None:
        self._root = psutil.Process(pid)
        self._seen = {self._root}
        self._memory_mb = memory_mb
        self.peak_mb = 0.0
        self.size = self.threads = 0
        self.processor_s = 0.0

    def look(self) -> None:
        with contextlib.suppress(psutil.Error):
            alive = [self._root, *self._root.children(recursive=True)]
            self._seen.update(alive)
            numbers = [member.pid for member in alive[1:]]
            self.size = len(numbers)
            self.threads = sum(_kernel_says(pid, THREADS) for pid in numbers)
            self.peak_mb = max(self.peak_mb, self._memory_mb(numbers))
            times = [member.cpu_times() for member in alive]
            self.processor_s = sum(time.user + time.system for time in times)

    def kill(self) -> None:
        """Must come before the root is reaped: until then its number, and its group's, is nobody else's."""
        self.look()
        with contextlib.suppress(psutil.Error):
            self._root.terminate()  # then it ends the others, also those we never saw
        _wait_for_end(self._root.pid, DYING_S)
        self.look()
        for member in self._seen:
            with contextlib.suppress(psutil.Error):
                member.kill()


def _wait_for_end(pid: int, limit_s: float) -> None:
    """Wait until a child that is not yet reaped has ended, or for `limit_s`."""
    ended = os.pidfd_open(pid)
    try:
        select.select([ended], [], [], limit_s)
    finally:
        os.close(ended)


def _on_card_mb(alone: Callable[[], bool], pids: Collection[int]) -> float:
    return gpu_memory_mb(pids, alone())


def _resident_mb(pids: Collection[int]) -> float:
    """The most memory that each living process ever had resident, added up."""
    return sum(_kernel_says(pid, HIGH_WATER_KB) for pid in pids) / 1024


def _kernel_says(pid: int, what: re.Pattern[bytes]) -> int:
    """A number in the status of a living process; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return 0
    found = what.search(status)
    return int(found[1]) if found else 0
