"""The whole checkup: every question at once, each with a time limit, and the answers in one order.

A check that gives no answer in time is left behind on its thread and named. What other programs do on the
cores is looked at first, before anything of ours runs.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from trainer.doctor import card, clock, keys, load, repository, room, sight, stock, versions, walls
from trainer.doctor.finding import Finding
from trainer.errors import BadInput
from trainer.hardware import detect
from trainer.preparing.kernel import NAME

Hold: TypeAlias = Callable[[str], AbstractContextManager[None]]  # takes a device, or raises BadInput

SHORT_S = 20.0
LONG_S = 300.0  # longer than the limits of the processes that such a check starts, one after the other


class Check(Struct, frozen=True):
    """One question, and how long its answer may take."""

    name: str
    ask: Callable[[], Iterable[Finding]]
    limit_s: float = SHORT_S


def checkup(root: Path, runs: Path, hold: Hold) -> tuple[Finding, ...]:
    """Whether a run of the task in `root`, with its folder in `runs`, would work here. Takes five seconds.

    `hold` is how a scheduler takes a device for itself; it is taken for a moment and given back.
    """
    gpu = Asked(Check("GPU", card.gpu))
    graphics = gpu.answer()
    device = "cpu" if gpu.stuck else detect().device  # a driver that does not answer is not asked again
    quiet = Asked(Check("cores", lambda: [load.cores(device)])).answer()
    return graphics + quiet + answers(_checks(root, runs, hold, device))


def _checks(root: Path, runs: Path, hold: Hold, device: str) -> list[Check]:
    return [
        Check("torch", lambda: _torch(root, device), LONG_S),
        Check("sandbox", lambda: walls.sandbox(device), LONG_S),
        Check("device", lambda: [busy(device, hold)]),
        Check("memory", lambda: room.memory(device)),
        Check("disk", lambda: [room.disk("disk", runs, device)]),
        Check("temporary", lambda: [room.temporary(device)]),
        Check("git", lambda: repository.git(root), LONG_S),
        Check("keys", lambda: [keys.keys()]),
        Check("clock", lambda: [clock.clock()]),
        Check("versions", lambda: [versions.versions(root)]),
    ]


def answers(checks: Iterable[Check]) -> tuple[Finding, ...]:
    """What the checks come to, asked side by side, in their order."""
    asked = [Asked(check) for check in checks]
    return tuple(found for each in asked for found in each.answer())


def busy(device: str, hold: Hold) -> Finding:
    """Whether another scheduler has the device."""
    try:
        with hold(device):
            return Finding("device", "ok", f"{device} is free: no other scheduler uses it")
    except BadInput as error:
        found, _, remedy = str(error).partition("; ")
        return Finding("device", "warning", found, remedy)


def _torch(root: Path, device: str) -> tuple[Finding, ...]:
    found = sight.asked(root, device)
    return (
        sight.seen(found, device == "cuda"),
        sight.attention(found, (root / "data" / NAME).is_dir()),
        stock.data(root, found.stock, device),
    )


class Asked:
    """A check under way, on a thread of its own."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._found: tuple[Finding, ...] = ()
        self._until = time.monotonic() + check.limit_s
        self._thread = threading.Thread(target=self._run, name=f"check {check.name}", daemon=True)
        self._thread.start()

    @property
    def stuck(self) -> bool:
        """Whether it is still without an answer."""
        return self._thread.is_alive()

    def answer(self) -> tuple[Finding, ...]:
        """The findings; one that says so if there are none, in time or at all."""
        name, limit_s = self._check.name, self._check.limit_s
        self._thread.join(max(0.0, self._until - time.monotonic()))
        if self.stuck:
            remedy = "something it asks is stuck: a driver, a disk, a network folder"
            return (Finding(name, "warning", f"no answer within {limit_s:g} s", remedy),)
        failed = Finding(name, "warning", "the check itself failed", "the error above this says where")
        return self._found or (failed,)

    def _run(self) -> None:
        """What else it raises is a mistake of ours: Python prints it, and the other checks go on."""
        try:
            self._found = tuple(self._check.ask())
        except (OSError, psutil.Error) as error:
            self._found = (Finding(self._check.name, "warning", f"could not be looked at: {error}"),)
