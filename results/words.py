"""Events of a run in words: one line for each that a person would want told.

Pure. Lower scores are better, so the difference behind a score is an improvement when it is negative. A trial
without a score is told with its cause and never with a number. Where there is little room the reason gives
way first, then the space between the columns and the lineage's name, and only then the idea.

That a proven win spreads to all lineages, and that what was thought of before is rebased onto it, follows
from the verdict that was told, and is not told again.
"""

from typing import assert_never

from msgspec import Struct
from rich.cells import cell_len

from population.records import (
    Adopted,
    Assigned,
    Candidate,
    Clashed,
    Combined,
    Declined,
    Ended,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Pruned,
    Resumed,
    Started,
)
from population.state import Population, Trial
from results.writing import change, clean, count, figure
from trainer.outcome import cause, status

_NAME, _IDEA, _REASON = 16, 70, 100  # widest a part of a line may be, in cells
_SHORT_NAME, _SHORT_IDEA, _SHORT_REASON = 4, 40, 12  # and how wide it stays if it is there


class Limits(Struct, frozen=True):
    """What ends a run, if anything does: a number of trials, a number of hours."""

    trials: int | None = None
    hours: float | None = None


UNLIMITED = Limits()


def words(
    event: Event, population: Population, limits: Limits = UNLIMITED, width: int | None = None
) -> str | None:
    """The event as a line, or None if it is not worth one. `population` has just applied the event.

    A trial's line is made to fit `width` cells as far as its idea can be read then; None: any width will do.
    """
    match event:
        case Started() as run:
            goal = f"{run.budget_s:g} s a trial, {clean(run.metric, 30)} (lower is better)"
            return f"run {clean(run.run, 64)}: {run.policy} on {run.device}, {goal}"
        case Founded() as born:
            origin = f"{clean(born.brief, 30)}, {clean(born.proposer, 30)}"
            return f"{clean(born.lineage, _NAME)} founded ({origin}): {clean(born.reason, _REASON)}"
        case Declined():
            return _declined(population, event)
        case Adopted(lineage, commit, reason):
            return _adopted(population, lineage, commit, clean(reason, _REASON))
        case Combined(lineage, _, candidates, _, reason):
            what = _changes(population, candidates)
            return f"{clean(lineage, _NAME)} tries {what}: {clean(reason, _REASON)}" if what else None
        case Clashed(lineage, candidates, reason):
            what = _changes(population, candidates)
            return f"{clean(lineage, _NAME)} cannot try {what}: {clean(reason, _REASON)}" if what else None
        case Pruned(lineage, reason):
            return f"{clean(lineage, _NAME)} pruned: {clean(reason, _REASON)}"
        case Lost(trial, reason):
            again = population.trials[trial].again
            turn = "" if again else "; its candidate gets another turn"
            return f"trial {trial} lost: {clean(reason, _REASON)}{turn}"
        case Judged(trial):
            return _judged(population.trials[trial], population, limits, width)
        case Resumed():
            return f"resumed after {count(population.finished, 'trial')}"
        case Ended(reason):
            return f"ended: {clean(reason, _REASON)}"
        case Proposed(candidate) if candidate.operator == "external" and not candidate.combines:
            return f"{clean(candidate.lineage, _NAME)} is sent an idea: {clean(candidate.idea, _IDEA)}"
        case Proposed() | Assigned() | Finished():
            return None  # the verdict follows, and tells all
        case _:
            assert_never(event)


def standing(trial: Trial) -> str:
    """Where a trial stands: running, lost, or the status of its outcome."""
    if trial.lost is not None:
        return "lost"
    return status(trial.outcome) if trial.outcome else "running"


def idea_of(trial: Trial, limit: int) -> str:
    """What a trial was for, as one clean line."""
    idea = clean(trial.candidate.idea, limit) or trial.candidate.operator
    kind = "again: " if trial.again else _kind(trial.candidate)
    return clean(kind + idea, limit) if kind else idea


def advanced(population: Population) -> set[int]:
    """Candidates that won their place; what else lineages build on are near misses that one stepped onto."""
    return {trial.candidate.number for trial in population.trials.values() if trial.verdict == "advance"}


def _kind(candidate: Candidate) -> str:
    """How a candidate came about, if not as the new idea of a mind or by a decision that was told."""
    match candidate.operator:
        case "external":
            return "sent: "
        case "revisit":
            return "revisited: "
        case "merge" if candidate.about is not None:
            return "fitted: "
    return ""


def _declined(population: Population, event: Declined) -> str | None:
    """The first of answers in a row that came to nothing: of a mind, or of the optimiser in its place."""
    lineage, name = population.lineages[event.lineage], clean(event.lineage, _NAME)
    reason = clean(event.reason, _REASON)
    if event.stood_in:
        return f"the optimiser has no new idea for {name}: {reason}" if lineage.stood_in == 1 else None
    if event.failed:
        return f"{name} cannot reach its mind: {reason}" if lineage.failures == 1 else None
    return f"{name} has no new idea: {reason}" if lineage.declined == 1 else None


def _adopted(population: Population, lineage: str, commit: str, reason: str) -> str | None:
    """A step aside, and the way back from there."""
    line, at = population.path(commit), population.commits[commit]
    if at not in advanced(population):
        return f"{clean(lineage, _NAME)} steps aside, onto trial {population.tried[at]}: {reason}"
    last = population.trials[max(population.trials)].candidate
    if last.lineage == lineage and last.base not in {step.candidate.commit for step in line}:
        return f"{clean(lineage, _NAME)} goes back, onto trial {population.tried[at]}: {reason}"
    return None


def _changes(population: Population, candidates: tuple[int, ...]) -> str | None:
    """The trials whose changes are brought together, or None where one that waits is only rebased."""
    tried = [str(population.tried[number]) for number in candidates if number in population.tried]
    if len(tried) < len(candidates):
        return None
    return f"the change of trial {tried[0]} again" if len(tried) == 1 else f"{', '.join(tried)} together"


def _judged(trial: Trial, population: Population, limits: Limits, width: int | None) -> str:
    assert trial.outcome is not None, "only a finished trial is judged"
    line = _facts(trial, population, limits, width)
    room = _IDEA + 2 + _REASON if width is None else max(_SHORT_IDEA, width - cell_len(line))
    idea = idea_of(trial, min(_IDEA, room))
    room = min(_REASON, room - cell_len(idea) - 2)
    reason = clean(cause(trial.outcome) or trial.judged_because, _REASON)
    if reason and room >= min(_SHORT_REASON, cell_len(reason)):
        return f"{line}{idea}: {clean(reason, room)}"
    return line + idea


def _facts(trial: Trial, population: Population, limits: Limits, width: int | None) -> str:
    """What stands in front of the idea, in columns; closer together if that leaves the idea too little."""
    counter, name = _counter(population, limits), trial.candidate.lineage
    widest = max(cell_len(clean(each, _NAME)) for each in population.lineages)
    result = f"{_result(trial):<14}", f"{trial.verdict:<7}"
    line = f"{counter} {_column(name, widest)}  {'  '.join(result)}  "
    if width is None or width - cell_len(line) >= _SHORT_IDEA:
        return line
    rest = f" {' '.join(result)} "
    room = width - _SHORT_IDEA - cell_len(f"{counter} {rest}")
    return f"{counter} {_column(name, max(_SHORT_NAME, min(widest, room)))}{rest}"


def _column(text: str, width: int) -> str:
    text = clean(text, width)
    return text + " " * (width - cell_len(text))


def _result(trial: Trial) -> str:
    if trial.score is None:
        return standing(trial).replace("_", " ")
    return figure(trial.score) + ("" if trial.gain is None or trial.again else f" {change(-trial.gain)}")


def _counter(population: Population, limits: Limits) -> str:
    if limits.trials is None:
        return f"[{population.finished:3d}]"
    return f"[{population.finished:{len(str(limits.trials))}d}/{limits.trials}]"
