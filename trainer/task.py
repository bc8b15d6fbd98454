"""A task: a folder with train.py, prepare.py and program.md, as the harness knows it.

`prepare.py` is read once, when a run begins, and pinned: every trial and every exam of the run uses these
bytes, whatever happens to the file. It is run in a process of its own even to learn the name of its score, so
that the program never imports what a task imports.
"""

import contextlib
import hashlib
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from trainer.errors import BadInput
from trainer.exam import VERSION
from trainer.examining.examiner import ExamFailed, ask
from trainer.running.log import Log, one_line
from trainer.syntax import parse

DESCRIBE_S = 120.0  # to import prepare.py, and to see whether its data is there


class Task(Struct, frozen=True):
    """All a trainer needs to know of a task; plain data, so that it can travel to another machine."""

    folder: str  # absolute; the exam may read all of it, training only its data/
    prepare: str  # the pinned text of prepare.py
    metric: str  # name of the score; lower is better
    budget_s: float  # seconds of training a trial is given
    startup_s: float | None  # limit until the clock starts; None: the task has no clock
    exam_hash: str  # scores with different hashes are never compared
    profile: str  # hardware profile, told to the task as LINEAGES_PROFILE; "" if it has none
    device: str  # cpu or cuda
    fingerprint: str = ""  # of the data the exam scores on, checked at every exam; "" if it is unknown


class _Description(Struct, frozen=True):
    """What prepare.py says of itself (see `trainer.exam.describe`)."""

    metric: str | None
    budget_s: float | None
    startup_s: float | None
    profile: str
    device: str
    examines: bool
    ready: bool
    fingerprint: str


def open_task(folder: Path, device: str, budget_s: float | None = None, profile: str | None = None) -> Task:
    """The task in `folder`, its data prepared. Raises BadInput, in one line, if it is not a usable task.

    `budget_s` and `profile` override what prepare.py says and what it would choose; without `profile`,
    LINEAGES_PROFILE does, if it is set.
    """
    folder = folder.resolve()
    prepare = _read(folder)
    profile = profile or os.environ.get("LINEAGES_PROFILE")
    found = _describe(folder, prepare, device, profile)
    if not found.ready:
        profile = found.profile or profile
        prepare_data(folder, device, profile)
        found = _describe(folder, prepare, device, profile)
        if not found.ready:
            raise BadInput(f"{folder}/prepare.py ran, but its ready() still says that data is missing")
    metric, budget_s = _checked(folder, found, budget_s)
    if found.device not in ("", device):
        raise BadInput(
            f"{folder}/prepare.py would compute on {found.device}, not on {device}: torch cannot use this "
            f"machine's GPU, or LINEAGES_PROFILE says otherwise; use --device {found.device}"
        )
    return Task(
        folder=str(folder),
        prepare=prepare,
        metric=metric,
        budget_s=budget_s,
        startup_s=found.startup_s,
        exam_hash=_exam_hash(prepare, found.fingerprint),
        profile=found.profile or profile or "",
        device=device,
        fingerprint=found.fingerprint,
    )


def prepare_data(folder: Path, device: str, profile: str | None = None) -> None:
    """Run a task's `python prepare.py` with its output on this terminal. Raises BadInput if it fails."""
    env = os.environ | {"LINEAGES_TASK": str(folder), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if profile:
        env["LINEAGES_PROFILE"] = profile
    if device == "cpu":
        env["CUDA_VISIBLE_DEVICES"] = ""
    # Progress bars are drawn on terminals only, so what is read here must be one if the user has one.
    ours, theirs = os.openpty() if sys.stderr.isatty() else os.pipe()
    try:
        process = subprocess.Popen([sys.executable, "prepare.py"], cwd=folder, env=env, stderr=theirs)
    finally:
        os.close(theirs)
    with Log() as said:
        while chunk := _chunk(ours):
            os.write(2, chunk)
            said.write(chunk)
        os.close(ours)
        if process.wait() != 0:
            raise BadInput(f"preparing the data of {folder} failed: {said.reason(process.returncode)}")


def genome_path(folder: Path) -> Path:
    """Where a task keeps the genome it starts from: train.py, or trainer/train.py as in this repository."""
    inner = folder / "trainer" / "train.py"
    return inner if inner.is_file() and not (folder / "train.py").exists() else folder / "train.py"


def told(task: Task, seed: int, submission: Path) -> dict[str, str]:
    """What a training and an exam find in their environment."""
    profile = {"LINEAGES_PROFILE": task.profile} if task.profile else {}
    return profile | {
        "LINEAGES_SUBMISSION": str(submission),
        "LINEAGES_SEED": str(seed),
        "LINEAGES_BUDGET_S": str(task.budget_s),
        "LINEAGES_TASK": task.folder,
    }


def _read(folder: Path) -> str:
    """The text of prepare.py, once all three files are known to be there and to be what they should be."""
    if not folder.is_dir():
        raise BadInput(
            f"{folder} is not a folder; a task is a folder with train.py, prepare.py and program.md"
        )
    prepare = folder / "prepare.py"
    for path in (genome_path(folder), prepare, folder / "program.md"):
        try:
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".py":
                parse(text)
        except FileNotFoundError:
            raise BadInput(f"the task {folder} has no {path.name}") from None
        except SyntaxError as error:
            at = f", line {error.lineno}" if error.lineno else ""
            raise BadInput(f"{path}{at}: {error.msg}") from None
        except (OSError, ValueError) as error:
            raise BadInput(f"{path} cannot be read: {error}") from None
    return prepare.read_text(encoding="utf-8")


def _describe(folder: Path, prepare: str, device: str, profile: str | None) -> _Description:
    """Run the pinned text, in a folder of its own, to hear what it says of itself."""
    where = f"{folder}/prepare.py"
    settings = {"LINEAGES_TASK": str(folder)} | ({"LINEAGES_PROFILE": profile} if profile else {})
    with tempfile.TemporaryDirectory() as scratch, Log() as said:
        path = Path(scratch) / "prepare.py"
        path.write_text(prepare, encoding="utf-8")
        try:
            reply = ask(["describe", str(path)], path.parent, device, settings, said, DESCRIBE_S)
        except ExamFailed as failure:
            raise BadInput(f"{where} cannot be run: {failure}") from failure
    if reply.problem:
        raise BadInput(f"{where} cannot be run: {one_line(reply.problem)}")
    try:
        return msgspec.json.decode(reply.result, type=_Description)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where} describes its task wrongly: {error}") from None


def _checked(folder: Path, found: _Description, budget_s: float | None) -> tuple[str, float]:
    """Metric and budget. Raises BadInput for what the contract asks of prepare.py and is not there."""
    where = f"{folder}/prepare.py"
    if not found.examines:
        raise BadInput(f"{where} must define examine(submission, serve), which scores a submission")
    if not found.metric:
        raise BadInput(f"{where} must define METRIC, the name of the score")
    if found.budget_s is None:
        raise BadInput(f"{where} must define BUDGET_S, the seconds of training a trial is given")
    chosen_s = found.budget_s if budget_s is None else budget_s
    for what, seconds in (("budget", chosen_s), ("start-up limit", found.startup_s)):
        if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
            raise BadInput(f"the {what} must be a positive number of seconds, not {seconds:g}")
    return found.metric, chosen_s


def _exam_hash(prepare: str, fingerprint: str) -> str:
    parts = (prepare, fingerprint, str(VERSION))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _chunk(terminal: int) -> bytes:
    with contextlib.suppress(OSError):  # how the end of a terminal looks, where a pipe gives b""
        return os.read(terminal, 2**16)
    return b""
