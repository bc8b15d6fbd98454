"""One side of a comparison: a run of ours, or another program's results.tsv, in the same terms.

Lower scores are better. How good a run's best was after each trial is said with what is known now: a commit
counts from the trial in which it advanced on, with its posterior mean. A results.tsv has single scores, and
they are taken at their word.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from msgspec import Struct

from population.evidence import known
from population.reckoning.claim import claim
from population.records import Entry
from population.state import Population, Trial
from results.comparing.rows import Row
from results.ideas import spent
from results.words import advanced
from results.writing import clean
from trainer.outcome import Stopped, Usage, failed

WIDTH: Final = 1.96  # standard deviations to either side, that 95% of a normal distribution lie within
AUTORESEARCH_S: Final = 300.0  # the budget of a trial whose results.tsv does not say


class Setting(Struct, frozen=True):
    """What makes scores comparable. None: not said, which is so of every results.tsv."""

    metric: str
    budget_s: float
    profile: str | None
    device: str | None
    exam: str | None


AUTORESEARCH: Final = Setting("val_bpb", AUTORESEARCH_S, None, None, None)


class Measured(Struct, frozen=True):
    """A score or a gain, and half of its 95% interval; None for a single score of unknown noise."""

    mean: float
    half: float | None = None


class Point(Struct, frozen=True):
    """After so many trials, and so many seconds of the GPU, this was the best."""

    trials: int
    gpu_s: float
    score: float


class Side(Struct, frozen=True):
    """A run to lay beside others."""

    name: str
    setting: Setting
    policy: str
    lineages: int
    baseline: Measured | None
    best: Measured | None
    gain: Measured | None
    fresh: int  # trials that measured the best again after it was chosen
    trials: int
    kept: int  # changes that advanced
    stopped: int  # trials that were hopeless
    failed: int  # other trials without a score
    gpu_s: float  # start-up, training and exam of all trials
    cost_usd: float
    course: tuple[Point, ...]  # each better than the one before it
    population: Population | None = None
    entries: tuple[Entry, ...] = ()  # whose fold it is
    rows: tuple[Row, ...] = ()  # of a results.tsv, in the place of a population


def side_of(population: Population, entries: Sequence[Entry]) -> Side:
    """A run that has begun; `entries` are its journal."""
    run, claimed = population.run, claim(population)
    done = [trial for trial in population.trials.values() if trial.outcome is not None]
    return Side(
        name=clean(run.run, 64),
        setting=Setting(run.metric, run.budget_s, run.profile, run.device, run.exam_hash),
        policy=run.policy,
        lineages=len(population.lineages),
        baseline=_measured(claimed.baseline.mean, claimed.baseline.sd) if claimed else _single(population),
        best=_measured(claimed.best.mean, claimed.best.sd) if claimed else None,
        gain=_measured(claimed.gain, claimed.sd) if claimed else None,
        fresh=claimed.fresh if claimed else 0,
        trials=len(done),
        kept=len(advanced(population) - _first(population)),
        stopped=sum(isinstance(trial.outcome, Stopped) for trial in done),
        failed=sum(failed(trial.outcome) for trial in done),
        gpu_s=sum(gpu_s(trial.usage) for trial in done),
        cost_usd=spent(population.lineages.values()).cost_usd,
        course=_course(population, done),
        population=population,
        entries=tuple(entries),
    )


def side_of_rows(name: str, rows: tuple[Row, ...]) -> Side:
    """What a results.tsv says. Its trials are taken to be of five minutes, with no start-up and exam."""
    scored = [row for row in rows if row.score is not None]
    kept = [row for row in scored if row.status == "keep"]
    course = _course_of_rows(rows)
    first = scored[0].score if scored else None
    baseline = None if first is None else Measured(first)
    best = Measured(course[-1].score) if course else None
    return Side(
        name=name,
        setting=AUTORESEARCH,
        policy="results.tsv",
        lineages=1,
        baseline=baseline,
        best=best,
        gain=Measured(baseline.mean - best.mean) if baseline and best else None,
        fresh=0,
        trials=len(rows),
        kept=len(kept) - (bool(kept) and kept[0] is scored[0]),
        stopped=0,
        failed=len(rows) - len(scored),
        gpu_s=AUTORESEARCH_S * len(scored),
        cost_usd=0.0,
        course=course,
        rows=rows,
    )


def gpu_s(usage: Usage | None) -> float:
    """For how long a trial had the device."""
    return usage.startup_s + usage.training_s + usage.exam_s if usage else 0.0


def _measured(mean: float, sd: float) -> Measured:
    return Measured(mean, WIDTH * sd)


def _single(population: Population) -> Measured | None:
    """The baseline before it is judged."""
    score = population.baseline_score
    return None if score is None else Measured(score)


def _first(population: Population) -> set[int]:
    """The baseline's candidate, which is no change."""
    return set() if population.baseline is None else {population.commits[population.baseline]}


def _course(population: Population, done: list[Trial]) -> tuple[Point, ...]:
    spent_s = accumulate(gpu_s(trial.usage) for trial in done)
    scores = (
        known(population, trial.candidate.commit) if trial.verdict == "advance" else None for trial in done
    )
    return _falling(zip(spent_s, scores, strict=True))


def _course_of_rows(rows: tuple[Row, ...]) -> tuple[Point, ...]:
    spent_s = accumulate(0.0 if row.score is None else AUTORESEARCH_S for row in rows)
    first = next((row for row in rows if row.score is not None), None)  # the baseline, whatever it is called
    scores = (row.score if row.status == "keep" or row is first else None for row in rows)
    return _falling(zip(spent_s, scores, strict=True))


def _falling(trials: Iterable[tuple[float, float | None]]) -> tuple[Point, ...]:
    """The trials after which the best was better than before."""
    points: list[Point] = []
    for number, (spent_s, score) in enumerate(trials, start=1):
        if score is not None and (not points or score < points[-1].score):
            points.append(Point(number, spent_s, score))
    return tuple(points)
