"""How many trials a run still has, as far as its limits tell."""

from itertools import islice
from math import inf

from population.rules import Facts, Rules
from population.state import Population


def trials_left(population: Population, rules: Rules, facts: Facts) -> float:
    """Trials that can still begin and end within the limits; infinite in a run without."""
    left = inf
    if rules.trials is not None:
        left = float(rules.trials - population.finished)
    if rules.hours is not None:
        left = min(left, (rules.hours * 3600 - facts.elapsed_s) // _trial_s(population))
    return left


def _trial_s(population: Population) -> float:
    """How long the next trial will take, start-up and exam included: as long as the longest of late."""
    usages = (trial.usage for trial in islice(reversed(population.trials.values()), 5))
    return max([population.run.budget_s, *(usage.wall_s for usage in usages if usage is not None)])
