"""The last trials of a run: the best and the baseline are measured again, with fresh seeds.

The best of many single scores is partly luck. What a run reports is what is left of it after that.
"""

from math import inf
from typing import Final

from population.evidence import best, weigh
from population.state import Population

_SHARE: Final = 0.04  # of a run's trials, at least two; none in a run of less than eight
_LEAST, _SHORTEST = 2, 8


def finals(population: Population, left: float) -> int:
    """How many of a run's trials, of which so many are left, are its finals."""
    trials = population.finished + left
    return 0 if trials < _SHORTEST or trials == inf else max(_LEAST, round(trials * _SHARE))


def champion(population: Population) -> int | None:
    """The candidate that a resumed run measures before all else, until it has; None otherwise.

    Sessions differ by more than trials of one session do.
    """
    found = best(population)
    if population.session == 0 or found is None:
        return None
    for trial in reversed(population.trials.values()):
        if trial.session < population.session:
            break
        if trial.again and trial.outcome is not None:
            return None
    return population.bases[found]


def finalist(population: Population) -> int | None:
    """The candidate to measure next: the best or the baseline, whichever was measured less."""
    found, baseline = best(population), population.baseline
    if found is None or baseline is None or found == baseline:
        return None
    estimates = weigh(population).estimates
    commit = min((baseline, found), key=lambda c: (estimates[c].trials, c != baseline))
    return population.bases[commit]
