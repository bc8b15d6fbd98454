"""The examiner: a process of its own that scores one submission after its training is over.

    python -P exam.py describe PREPARE
    python -P exam.py examine FOLDER SUBMISSION METRIC DEVICE FINGERPRINT SANDBOX

It is trusted: it runs the pinned prepare.py and nothing of the candidate's. It answers with one line of
JSON through the descriptor numbered LINEAGES_TELEMETRY, never through what it prints, and only once all it
started is dead; it dies with its supervisor. An error in `examine` ends it with a traceback,
which the harness reads as a refusal; what is no fault of the candidate's it answers as a failure. Torch is
imported only for a model server.
"""

import errno
import functools
import importlib.util
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from trainer.examining.submission import Refusal, copy_submission
from trainer.running.launch import Start, cold
from trainer.sandbox import Sandbox
from trainer.walls.process import end_descendants, hide

if TYPE_CHECKING:
    from trainer.examining.server import Server

VERSION = 3  # raise it when a change to the exam or the model server can change a score


class Unfit(Exception):
    """No exam can be held as things are, whoever is examined; says why in one line."""


def describe(prepare: Path) -> dict[str, object]:
    """What a task's prepare.py says of itself; `None` for what it leaves out."""
    module = load_prepare(prepare)
    profile = getattr(module, "PROFILE", "")
    ready = bool(getattr(module, "ready", lambda: True)())
    return {
        "metric": getattr(module, "METRIC", None),
        "budget_s": getattr(module, "BUDGET_S", None),
        "startup_s": getattr(module, "STARTUP_S", None),
        "profile": str(getattr(profile, "name", profile)),
        "device": str(getattr(module, "DEVICE", "")).partition(":")[0],
        "examines": callable(getattr(module, "examine", None)),
        "ready": ready,
        "fingerprint": fingerprint(module) if ready else "",
    }


def fingerprint(prepare: ModuleType) -> str:
    """What the task says its scores depend on beside the text of prepare.py; empty if on nothing."""
    return str(getattr(prepare, "fingerprint", str)())


def examine(
    folder: Path,
    submission: Path,
    metric: str,
    device: str,
    expected: str,
    sandbox: Sandbox,
    start: Start = cold,
) -> dict[str, float]:
    """Score `submission` in `folder`, which holds the harness's own train.py and prepare.py.

    Model servers come from `start`, and must not be copies of a process that has seen the exam's data.
    Raises Unfit if the task's fingerprint is no longer `expected` ("" for one that is unknown), Refusal, and
    whatever the task's `examine` raises.
    """
    copy = folder / "submission"
    copy_submission(submission, copy)
    for name in ("train.py", "prepare.py"):
        (copy / name).unlink(missing_ok=True)
        shutil.copyfile(folder / name, copy / name)
    prepare = load_prepare(folder / "prepare.py")
    _same_data(prepare, expected)
    metrics = prepare.examine(copy, functools.partial(_serve, copy, device, sandbox, start))
    return _checked(metrics, metric)


def load_prepare(path: Path) -> ModuleType:
    """Run a prepare.py as the module `prepare`, whichever other files of that name can be imported."""
    spec = importlib.util.spec_from_file_location("prepare", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prepare"] = module
    spec.loader.exec_module(module)
    return module


def _serve(
    submission: Path,
    device: str,
    sandbox: Sandbox,
    start: Start,
    batch_size: int,
    sequence_len: int,
    vocab_size: int,
    **options: float,
) -> "AbstractContextManager[Server]":
    from trainer.examining.server import serve

    shape = (batch_size, sequence_len, vocab_size)
    return serve(submission, device, shape, reads=_open(), sandbox=sandbox, start=start, **options)


def _open() -> list[Path]:
    """What of the task's folder a training may read that is no data: so the model is the same here."""
    folder = Path(os.environ["LINEAGES_TASK"])
    return [folder / path for path in getattr(sys.modules["prepare"], "OPEN", ())]


def _same_data(prepare: ModuleType, expected: str) -> None:
    try:
        same = not expected or fingerprint(prepare) == expected
    except OSError as error:
        raise Unfit(f"the exam's data cannot be read: {error}") from error
    if not same:
        raise Unfit("the exam's data has changed since the run began: restore it, or start a new run")


def _checked(metrics: object, metric: str) -> dict[str, float]:
    """The finite numbers of `metrics`, of which `metric` must be one."""
    if not isinstance(metrics, Mapping) or metric not in metrics:
        raise Refusal(f"the exam gave no {metric}")
    numbers = {str(name): float(value) for name, value in metrics.items()}
    if not math.isfinite(numbers[metric]):
        raise Refusal(f"{metric} is {numbers[metric]}, not a finite number")
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _answer(work: Callable[[], object]) -> None:
    try:
        answer = json.dumps(_outcome(work), allow_nan=False)
    finally:
        end_descendants()  # before anyone listens: the candidate's could speak in our place, or after us
    with os.fdopen(int(os.environ["LINEAGES_TELEMETRY"]), "w") as harness:
        harness.write(answer + "\n")


def _outcome(work: Callable[[], object]) -> dict[str, object]:
    """What the harness reads as `trainer.examining.examiner.Answer`."""
    try:
        return {"result": work()}
    except Refusal as refusal:
        return {"refused": str(refusal)}
    except Unfit as unfit:
        return {"failed": str(unfit)}
    except MemoryError:
        return {"failed": "the examiner ran out of memory"}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return {"failed": str(error), "errno": error.errno}


def _starting() -> Start:
    """What starts model servers: first of all, a server of our own that forks them, if we were forked."""
    from trainer.warm import child

    if not child.forked:
        return cold
    from trainer.warm.forks import Forks
    from trainer.warm.server import fork_here

    return Forks(fork_here())


def _main(words: Sequence[str]) -> None:
    hide()
    match words:
        case ["describe", path]:
            _answer(lambda: describe(Path(path)))
        case ["examine", folder, left, metric, device, expected, "auto" | "off" as sandbox]:
            start = _starting()
            _answer(lambda: examine(Path(folder), Path(left), metric, device, expected, sandbox, start))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    _main(sys.argv[1:])
