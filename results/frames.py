"""A run as a table: one row a trial, for polars, parquet and whoever opens them.

The column of scores bears the name of the task's METRIC (lower is better); without a score it is null.
"""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from population.records import Candidate, Thought, Usage
from population.state import Population, Trial
from results.expected import expected
from results.ideas import source
from results.words import standing
from results.writing import clean
from trainer.outcome import cause

_SCORE = "score"  # where the metric's column stands in _SCHEMA; also its name when the metric's own is taken
_TEXT_LIMIT = 1000  # characters of an idea or a reason
_SCHEMA: dict[str, Any] = {
    "trial": pl.Int64,
    "lineage": pl.String,
    "brief": pl.String,
    "proposer": pl.String,
    "operator": pl.String,
    "idea": pl.String,
    "about": pl.Int64,  # the trial whose change its mind was asked to look at again, or to merge
    "expected": pl.Float64,  # the change of score that its author foresaw; negative is better
    "commit": pl.String,
    "parent": pl.String,
    "parent2": pl.String,
    "base": pl.String,  # the commit it had to beat
    "seed": pl.Int64,
    "status": pl.String,
    "verdict": pl.String,
    _SCORE: pl.Float64,
    "gain": pl.Float64,  # how far below its base it came; positive is better, as below
    "expected_gain": pl.Float64,  # of its change over the base, after all of the run's evidence
    "expected_gain_sd": pl.Float64,
    "p_better": pl.Float64,  # that the change is a gain
    "training_s": pl.Float64,
    "startup_s": pl.Float64,
    "exam_s": pl.Float64,
    "wall_s": pl.Float64,
    "ahead_s": pl.Float64,  # of start-up before it was given the GPU
    "gpu": pl.Int64,  # which of several, from 0
    "started_at": pl.Datetime("ms", "UTC"),
    "peak_memory_mb": pl.Float64,
    "steps": pl.Int64,
    "trained_tokens": pl.Int64,
    "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
    "cost_usd": pl.Float64,
    "complexity": pl.Int64,
    "exam_hash": pl.String,
    "device": pl.String,
    "reason": pl.String,
}


def trials(population: Population) -> pl.DataFrame:
    """One row a trial, oldest first, lost and running ones too; the same schema however few there are.

    What an idea cost stands in the first row of its candidate and is 0 in those that tried it again, so sums
    are right. `reason` says why there is no score or, where there is one, why the verdict is what it is.
    What is expected of a change is null where it was not compared: it has no score, or its base is long past.
    """
    paid: set[int] = set()
    rows = []
    for trial in population.trials.values():
        thought = Thought() if trial.candidate.number in paid else source(population, trial.candidate).thought
        paid.add(trial.candidate.number)
        rows.append(_row(population, trial, thought))
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame.rename({_SCORE: metric_column(population)})


def metric_column(population: Population) -> str:
    """Name of the column of scores: the metric's, unless another column has it or no run has begun."""
    metric = population.started.metric if population.started else _SCORE
    return _SCORE if metric in _SCHEMA else metric


def _row(population: Population, trial: Trial, thought: Thought) -> tuple[object, ...]:
    candidate, run = trial.candidate, population.run
    thought_of = source(population, candidate)
    parents = (*candidate.parents, None, None)
    return (
        trial.number,
        candidate.lineage,
        population.lineages[candidate.lineage].brief,
        candidate.proposer,
        trial.operator,
        clean(candidate.idea, _TEXT_LIMIT),
        None if thought_of.about is None else population.tried.get(thought_of.about),
        thought_of.expected,
        candidate.commit,
        parents[0],
        parents[1],
        candidate.base,
        trial.seed,
        standing(trial),
        trial.verdict,
        trial.score,
        trial.gain,
        *_expected(population, candidate),
        *_usage(trial.usage, trial.assigned_at),
        thought.prompt_tokens,
        thought.completion_tokens,
        thought.cost_usd,
        candidate.complexity,
        run.exam_hash,
        run.device,
        clean(_reason(trial), _TEXT_LIMIT),
    )


def _expected(population: Population, candidate: Candidate) -> tuple[float | None, ...]:
    told = expected(population, candidate)
    return (None, None, None) if told is None else (-told.change, told.sd, told.p_better)


def _usage(usage: Usage | None, assigned_at: float) -> tuple[object, ...]:
    if usage is None:
        return (*[None] * 6, datetime.fromtimestamp(assigned_at, UTC), None, None, None)
    return (
        usage.training_s,
        usage.startup_s,
        usage.exam_s,
        usage.wall_s,
        usage.ahead_s,
        usage.gpu,
        datetime.fromtimestamp(usage.started_at, UTC),
        usage.peak_memory_mb,
        usage.steps,
        usage.trained_tokens,
    )


def _reason(trial: Trial) -> str:
    if trial.lost is not None:
        return trial.lost
    return (cause(trial.outcome) if trial.outcome else None) or trial.judged_because
