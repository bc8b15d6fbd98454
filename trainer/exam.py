"""The examiner: a process of its own that scores one submission after its training is over.

    python -P -m trainer.exam describe PREPARE
    python -P -m trainer.exam examine FOLDER SUBMISSION METRIC DEVICE

It is trusted: it runs the pinned prepare.py and nothing of the candidate's. It answers with one line of
JSON through the pipe numbered LINEAGES_TELEMETRY, never through what it prints. An error in `examine` ends it
with a traceback, which the harness reads as a refusal. Torch is imported only for a model server.
"""

import functools
import importlib.util
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from trainer.submission import Refusal, copy_submission

if TYPE_CHECKING:
    from trainer.server import Server

VERSION = 1  # raise it when a change to the exam or the model server can change a score


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
        "examines": callable(getattr(module, "examine", None)),
        "ready": ready,
        "fingerprint": str(getattr(module, "fingerprint", str)()) if ready else "",
    }


def examine(folder: Path, submission: Path, metric: str, device: str) -> dict[str, float]:
    """Score `submission` in `folder`, which holds the harness's own train.py and prepare.py.

    Raises Refusal, and whatever the task's `examine` raises.
    """
    copy = folder / "submission"
    copy_submission(submission, copy)
    for name in ("train.py", "prepare.py"):
        (copy / name).unlink(missing_ok=True)
        shutil.copyfile(folder / name, copy / name)
    prepare = load_prepare(folder / "prepare.py")
    metrics = prepare.examine(copy, functools.partial(_serve, copy, device))
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
    submission: Path, device: str, batch_size: int, sequence_len: int, vocab_size: int, **options: float
) -> "AbstractContextManager[Server]":
    from trainer.server import serve

    return serve(submission, device, (batch_size, sequence_len, vocab_size), **options)


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
        answer = {"result": work()}
    except Refusal as refusal:
        answer = {"refused": str(refusal)}
    with os.fdopen(int(os.environ["LINEAGES_TELEMETRY"]), "w") as pipe:
        pipe.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["describe", path]:
            _answer(lambda: describe(Path(path)))
        case ["examine", folder, left, name, where]:
            _answer(lambda: examine(Path(folder), Path(left), name, where))
        case _:
            sys.exit(__doc__)
