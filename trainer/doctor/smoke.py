"""The last question: does a trial work? Trains the genome for twenty seconds and examines it.

The genome is the file as it lies there, committed or not, sized to the machine. Nothing of it is kept.
"""

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from trainer.doctor.checkup import Hold
from trainer.doctor.finding import Finding
from trainer.errors import BadInput
from trainer.examining.examiner import ExamFailed
from trainer.hardware import Constant, detect, sizing
from trainer.outcome import Completed, Report, cause, status
from trainer.running.log import one_line
from trainer.task import genome_path, open_task
from trainer.trial import Order, Watch, run_trial

BUDGET_S = 20.0

Rewrite: TypeAlias = Callable[[str, Mapping[str, Constant]], str]  # sets constants of a genome


def smoke(
    root: Path, hold: Hold, rewrite: Rewrite, watch: Watch = lambda progress: None, budget_s: float = BUDGET_S
) -> Finding:
    """Give the task in `root` one trial, and say what it cost and scored. `watch` sees it progress.

    Data that is not prepared is prepared first. The device is held meanwhile; if another scheduler has it,
    nothing is tried.
    """
    machine = detect()
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(hold(machine.device))
            task = open_task(root, machine.device, budget_s)
            genome = _sized(root, rewrite, sizing(task.profile, machine))
            folder = held.enter_context(tempfile.TemporaryDirectory(prefix="lineages-smoke-"))
            order = Order(1, genome, 0, task, log=f"{folder}/trial.log", scratch=f"{folder}/scratch")
            report = run_trial(order, watch)
        except BadInput as error:
            found, _, remedy = str(error).partition("; ")
            return Finding("trial", "missing", f"not tried: {found}", remedy)
        except (OSError, ExamFailed) as error:
            found = one_line(f"{type(error).__name__}: {error}")
            return Finding("trial", "missing", f"could not be brought to its end: {found}")
    return judged(report, task.metric)


def _sized(root: Path, rewrite: Rewrite, constants: Mapping[str, Constant]) -> str:
    path = genome_path(root)
    try:
        return rewrite(path.read_text(encoding="utf-8"), constants)
    except (KeyError, ValueError, SyntaxError) as error:
        raise BadInput(
            f"{path} cannot be sized to this machine: {error}; git diff shows its changes"
        ) from error


def judged(report: Report, metric: str) -> Finding:
    """What a trial's report says of the machine."""
    outcome, usage = report.outcome, report.usage
    took = f"start-up {usage.startup_s:.1f} s, training {usage.training_s:.1f} s, exam {usage.exam_s:.1f} s"
    memory = f"peak memory {usage.peak_memory_mb:,.0f} MiB"
    if isinstance(outcome, Completed):
        found = f"{metric} {outcome.score:.4f} after {usage.steps:,} steps; {took}; {memory}"
        if usage.steps == 0:
            return Finding(
                "trial", "warning", f"{found}; no step was reported", "run with a longer --budget here"
            )
        return Finding("trial", "ok", found)
    why = one_line(cause(outcome) or "")
    remedy = "mend what the lines above say, then try again"
    return Finding(
        "trial", "missing", f"{status(outcome).replace('_', ' ')}: {why}; {took}; {memory}", remedy
    )
