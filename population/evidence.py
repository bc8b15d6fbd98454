"""What a run's scores say: the noise of a trial, a posterior for every commit, and which is the best.

A score is a sample. Its noise, sigma, is learned with the offsets of sessions (scores.py), what changes tend
to do from all trials of the run (effects.py), and what each commit is worth from its own trials, its base's
and those of all that was tried from it (posteriors.py). Lower scores are better.
"""

import math

from msgspec import Struct

from population.state import Population
from population.weighing.effects import Effect, Effects, normal
from population.weighing.posteriors import Estimate, Tree
from population.weighing.scores import Scores

__all__ = ["Estimate", "Evidence", "best", "better", "known", "weigh"]


class Evidence(Struct, frozen=True):
    """All that the scores of a population say, at one moment."""

    sigma: float  # standard deviation of one trial
    spread: float  # the same, with the rare trials that are far off
    effects: dict[int, Effect]  # by candidate that was scored: against its base, in sigmas
    estimates: dict[str, Estimate]  # by commit that advanced, the baseline among them
    best: str | None = None  # the commit with the best posterior of these; of equals the simpler


def weigh(population: Population) -> Evidence:
    """The evidence of a population, remembered until another trial is finished or another commit advances."""
    key = (population.finished, len(population.bases))
    if population.weighed is None or population.weighed[0] != key:
        population.weighed = key, _weigh(population)
    evidence = population.weighed[1]
    assert isinstance(evidence, Evidence)
    return evidence


def better(one: Estimate, other: Estimate) -> float:
    """Probability that `one` has the lower true score."""
    return normal(one.mean - other.mean, math.hypot(one.sd, other.sd)).p_better


def known(population: Population, commit: str) -> float | None:
    """A commit's score: its posterior mean, where it has one, else the mean of its trials."""
    estimate = weigh(population).estimates.get(commit)
    return population.score(commit) if estimate is None else estimate.mean


def best(population: Population) -> str | None:
    """The commit a run would report: the best posterior of all that advanced; of equals the simpler.

    A policy that compares single scores is taken at its word: its best is its best tip.
    """
    if population.started is not None and population.run.policy == "promise":
        return weigh(population).best
    tips = {line.tip: population.score(line.tip) for line in population.lineages.values()}
    return _lowest(population, {tip: score for tip, score in tips.items() if score is not None})


def _weigh(population: Population) -> Evidence:
    baseline = population.baseline
    if baseline is None or baseline not in population.scores:
        return Evidence(0.0, 0.0, {}, {})
    scores = Scores(population)
    noise = scores.noise(population.run.profile, scores.of(baseline)[0])
    tree = Tree(population, scores, noise.sigma)
    before = Effects.before()
    tree.walk(before.learned(*tree.walk(before, learning=True)))
    estimates = tree.estimates()
    found = _lowest(population, {commit: estimate.mean for commit, estimate in estimates.items()})
    return Evidence(noise.sigma, noise.spread, tree.effects(), estimates, found)


def _lowest(population: Population, scores: dict[str, float]) -> str | None:
    ranked = [(score, population.complexity(commit), commit) for commit, score in scores.items()]
    return min(ranked)[-1] if ranked else None
