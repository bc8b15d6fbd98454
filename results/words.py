"""Events of a run in words: one line for each that a person would want told.

Pure. Lower scores are better, so the difference in brackets is an improvement when it is negative. A trial
without a score is told with its cause and never with a number.
"""

from typing import assert_never

from msgspec import Struct

from population.records import (
    Assigned,
    Declined,
    Ended,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Resumed,
    Started,
)
from population.state import Population, Trial
from results.writing import change, clean, count, figure
from trainer.outcome import cause, status

_NAME, _IDEA, _REASON = 16, 70, 100  # widest a part of a line may be, in cells


class Limits(Struct, frozen=True):
    """What ends a run, if anything does: a number of trials, a number of hours."""

    trials: int | None = None
    hours: float | None = None


UNLIMITED = Limits()


def words(event: Event, population: Population, limits: Limits = UNLIMITED) -> str | None:
    """The event as a line, or None if it is not worth one. `population` has just applied the event."""
    match event:
        case Started() as run:
            goal = f"{run.budget_s:g} s a trial, {clean(run.metric, 30)} (lower is better)"
            return f"run {clean(run.run, 64)}: {run.policy} on {run.device}, {goal}"
        case Founded() as born:
            origin = f"{clean(born.brief, 30)}, {clean(born.proposer, 30)}"
            return f"{clean(born.lineage, _NAME)} founded ({origin}): {clean(born.reason, _REASON)}"
        case Declined(lineage, _, reason):
            first = population.lineages[lineage].declined == 1
            return f"{clean(lineage, _NAME)} has no new idea: {clean(reason, _REASON)}" if first else None
        case Lost(trial, reason):
            return f"trial {trial} lost: {clean(reason, _REASON)}; its candidate gets another turn"
        case Judged(trial):
            return _judged(population.trials[trial], population, limits)
        case Resumed():
            return f"resumed after {count(population.finished, 'trial')}"
        case Ended(reason):
            return f"ended: {clean(reason, _REASON)}"
        case Proposed() | Assigned() | Finished():
            return None  # the verdict follows, and tells all
        case _:
            assert_never(event)


def standing(trial: Trial) -> str:
    """Where a trial stands: running, lost, or the status of its outcome."""
    if trial.lost is not None:
        return "lost"
    return status(trial.outcome) if trial.outcome else "running"


def _judged(trial: Trial, population: Population, limits: Limits) -> str:
    assert trial.outcome is not None, "only a finished trial is judged"
    width = max(len(clean(name, _NAME)) for name in population.lineages)
    name = clean(trial.candidate.lineage, _NAME)
    idea = clean(trial.candidate.idea, _IDEA) or trial.candidate.operator
    reason = clean(cause(trial.outcome) or trial.judged_because, _REASON)
    line = f"{_counter(population, limits)} {name:<{width}}  {_result(trial):<16}  {trial.verdict:<7}  {idea}"
    return f"{line}: {reason}" if reason else line


def _result(trial: Trial) -> str:
    if trial.score is None:
        return standing(trial).replace("_", " ")
    return figure(trial.score) + ("" if trial.gain is None else f" ({change(-trial.gain)})")


def _counter(population: Population, limits: Limits) -> str:
    if limits.trials is None:
        return f"[{population.finished:3d}]"
    return f"[{population.finished:{len(str(limits.trials))}d}/{limits.trials}]"
