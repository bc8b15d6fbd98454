"""Trials on a machine that has none of the run's files: what is sent there, and where it is put.

A task is sent as a `Parcel`, once; `settled` unpacks it into the machine's cache, has its data prepared if
that was never done there, and refuses a machine on which scores would mean something else. An order then has
only its paths exchanged, and the log travels back with what came of it. What trials leave is in a folder that
is removed when nobody has it any more (`trainer.scratch`); a task stays in the cache, for the next run of it.

Not covered: a task whose folder is large and does not make its data itself is refused, not streamed; the
modes of a task's files are lost.
"""

import ast
import hashlib
import os
import platform
import socket
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock
from msgspec import Struct
from msgspec.structs import replace

from trainer.checks.proof import proof
from trainer.errors import BadInput
from trainer.hardware import first_card
from trainer.running.disk import LEAST_FREE_MB, free_mb
from trainer.syntax import parse
from trainer.task import Task, genome_path, open_task
from trainer.trial import Order

ROOT = Path(__file__).resolve().parents[1]
LARGEST_MB = 64
MADE = ("data", "heldout")  # by `python prepare.py`, on each machine anew, if prepare.py defines `ready`
_READ_ONLY = ("train.py", "program.md")  # what no exam depends on


class Ground(Struct, frozen=True):
    """What a score depends on beside genome, task and seed: the machine and what is installed there."""

    python: str
    torch: str
    gpu: str  # "" where trials compute on the processor
    cores: int  # 0 where they do not


class Parcel(Struct, frozen=True):
    """A task as it travels."""

    task: Task
    files: dict[str, bytes]  # by their paths in the task's folder
    ground: Ground  # on which the run began
    walled: bool  # whether it may run only where the sandbox holds


class Abroad(Struct, frozen=True):
    """A task's place on a machine that it was sent to."""

    folder: str
    scratch: str

    def carried(self, order: Order) -> Order:
        """An order with this machine's paths."""
        return replace(
            order,
            task=replace(order.task, folder=self.folder),
            log=str(Path(self.scratch) / f"{order.trial}.log"),
            scratch=self.scratch,
        )


def ground(device: str) -> Ground:
    """What this machine's scores stand on."""
    card = first_card() if device == "cuda" else None
    cores = len(os.sched_getaffinity(0)) if device == "cpu" else 0
    return Ground(platform.python_version(), version("torch"), card.name if card else "", cores)


def packed(task: Task, walled: bool) -> Parcel:
    """A task, ready to be sent. Raises BadInput if its folder is too large for that.

    `walled` says that its genomes are strangers', for whom the sandbox has to hold.
    """
    folder, size = Path(task.folder), 0
    files = {"prepare.py": task.prepare.encode()}  # the pinned text, whatever became of the file
    for name, path in _sent(folder, _makes_data(task)).items():
        size += path.stat().st_size
        if size > LARGEST_MB * 2**20:
            raise BadInput(
                f"{folder} holds more than {LARGEST_MB} MB to send to other machines: keep what is large in "
                "its data/, and have prepare.py make that there and say by ready() whether it has"
            )
        files.setdefault(name, path.read_bytes())
    return Parcel(task, files, ground(task.device), walled)


def taken(log: Path) -> bytes:
    """The log of a trial that has ended, which is on its way and no longer here. Raises OSError."""
    try:
        return log.read_bytes()
    finally:
        log.unlink(missing_ok=True)


def settled(parcel: Parcel, cache: Path, scratch: Path) -> Abroad:
    """Make this machine ready for a task's trials, which work in `scratch`.

    Raises BadInput, in one line, if it cannot be.
    """
    if (free := free_mb(scratch)) < LEAST_FREE_MB:
        raise BadInput(
            f"{socket.gethostname()}: {free:.0f} MB are free in {scratch.parent}, too little for trials; "
            f"make room for {LEAST_FREE_MB}, or leave that machine out"
        )
    here = ground(parcel.task.device)
    if here != parcel.ground:
        raise BadInput(f"{socket.gethostname()} has {_told(here)}; the run began on {_told(parcel.ground)}")
    if parcel.walled and not (proven := proof()).holds:
        raise BadInput(
            f"{socket.gethostname()}: the sandbox does not hold there: {'; '.join(proven.lines())}"
        )
    folder = cache / _digest(parcel)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # several trainers come at once
        for name, content in parcel.files.items():
            _put(folder / name, content)
        task = parcel.task
        found = open_task(folder, task.device, task.budget_s, task.profile or None)
    if found.exam_hash != task.exam_hash:
        raise BadInput(
            f"{socket.gethostname()}: the data that prepare.py made in {folder} are not those the run began "
            "with; prepare them there as they were prepared for the run, or leave that machine out"
        )
    return Abroad(str(folder), str(scratch))


def cache() -> Path:
    """Where this machine keeps the tasks that it was sent, and their data."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lineages" / "tasks"


def _sent(folder: Path, makes_data: bool) -> dict[str, Path]:
    """The files of a task by their names on the other machine. Nothing hidden, and nothing compiled."""
    if folder == ROOT:  # a task among much else, whose code is sent by other means
        return {"program.md": folder / "program.md", "train.py": genome_path(folder)}
    left = {"__pycache__", *(MADE if makes_data else ())}
    inside = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): path
        for name, path in inside.items()
        if not left & set(name.parts) and not any(part.startswith(".") for part in name.parts)
    }


def _makes_data(task: Task) -> bool:
    tree = parse(task.prepare)
    return any(isinstance(node, ast.FunctionDef) and node.name == "ready" for node in tree.body)


def _digest(parcel: Parcel) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(parcel.files.items()):
        if name not in _READ_ONLY:
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _put(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.unlink(missing_ok=True)  # of one who was killed here
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.write_bytes(content)
    aside.replace(path)


def _told(ground: Ground) -> str:
    machine = ground.gpu or f"{ground.cores} cores"
    return f"Python {ground.python}, torch {ground.torch} and {machine}"
