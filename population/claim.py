"""What a run may claim: by trials that had no part in choosing what it reports.

The best of many is partly the luckiest of many, and no model of luck is quite right about the one that was
picked. A trial that measures the best again once it was built on is picked by nobody, and nor is any of the
baseline's. Where there are such trials a claim rests on them alone, and otherwise on posteriors.
"""

import math

from msgspec import Struct

from population.evidence import Estimate, best, weigh
from population.state import Population
from population.weighing.scores import Scores


class Claim(Struct, frozen=True):
    """Baseline and best as a run reports them. `fresh` trials are those the best was measured again in."""

    baseline: Estimate
    best: Estimate
    fresh: int

    @property
    def gain(self) -> float:
        """How far below the baseline the best is."""
        return self.baseline.mean - self.best.mean

    @property
    def sd(self) -> float:
        """Standard deviation of the gain; 0 if the baseline is the best."""
        return 0.0 if self.best == self.baseline else math.hypot(self.baseline.sd, self.best.sd)


def claim(population: Population) -> Claim | None:
    """What is claimed now; None without scores."""
    found, baseline, evidence = best(population), population.baseline, weigh(population)
    if found is None or baseline is None or not {found, baseline} <= evidence.estimates.keys():
        return None
    scores, built = Scores(population), _built_on(population, found)
    fresh = [
        score
        for score, trial in zip(scores.of(found), population.measured[found], strict=True)
        if trial.number > built
    ]
    if found == baseline or not fresh:
        return Claim(evidence.estimates[baseline], evidence.estimates[found], 0)
    return Claim(_mean(scores.of(baseline), evidence.sigma), _mean(fresh, evidence.sigma), len(fresh))


def _built_on(population: Population, commit: str) -> int:
    """The trial after which a commit was built on: that it advanced in, or its first."""
    trials = population.measured[commit]
    return next((trial.number for trial in trials if trial.verdict == "advance"), trials[0].number)


def _mean(scores: list[float], sigma: float) -> Estimate:
    return Estimate(sum(scores) / len(scores), sigma / math.sqrt(len(scores)), len(scores))
