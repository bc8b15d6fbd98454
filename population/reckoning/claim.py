"""What a run may claim: by trials made after what it reports was chosen, and in one session.

The best of many is partly the luckiest of many, and no model of luck is quite right about the one that was
picked. Trials that measure the best again are picked by nobody, as long as they do not bring another one to
the top; and nor are any of the baseline's. Where there are such trials of both in one session a claim rests
on them alone, since sessions differ by more than trials do; otherwise it rests on posteriors.
"""

import math

from msgspec import Struct

from population.evidence import Estimate, Evidence, best, weigh
from population.state import Population
from population.weighing.impartial import impartial
from population.weighing.scores import location


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
    ends = _by_session(population, baseline), _by_session(population, found)
    sessions = ends[0].keys() & ends[1].keys()
    if found == baseline or not sessions:
        return Claim(evidence.estimates[baseline], evidence.estimates[found], 0)
    session = min(sessions, key=lambda one: (sum(1 / len(scores[one]) for scores in ends), -one))
    first, last = (_mean(scores[session], evidence) for scores in ends)
    return Claim(first, last, last.trials)


def _by_session(population: Population, commit: str) -> dict[int, list[float]]:
    """Scores of a commit that had no part in its being chosen, by session."""
    found: dict[int, list[float]] = {}
    for trial in impartial(population, commit):
        if trial.score is not None:
            found.setdefault(trial.session, []).append(trial.score)
    return found


def _mean(scores: list[float], evidence: Evidence) -> Estimate:
    mean, sd = location(scores, evidence.sigma), evidence.spread / math.sqrt(len(scores))
    return Estimate(mean, sd, len(scores))
