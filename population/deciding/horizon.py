"""How many trials a run still has, as far as its limits tell."""

from itertools import islice
from math import inf
from typing import Final

from population.deciding.rules import Facts, Rules
from population.names import SUBMIT
from population.state import Lineage, Population

_TELLING: Final = 4  # trials after which it can be told what one costs


def trials_left(population: Population, rules: Rules, facts: Facts) -> float:
    """Trials that can still begin and end within the limits; infinite in a run without."""
    left = inf
    running = len(population.running)
    if rules.trials is not None:
        left = float(rules.trials - population.finished - running)
    if rules.hours is not None:
        rounds = (rules.hours * 3600 - facts.elapsed_s) // trial_s(population)
        left = min(left, slots(rules, facts) * rounds - running)
    return min(left, _affordable(population, rules))


def slots(rules: Rules, facts: Facts) -> int:
    """How many trials can be under way now."""
    return rules.gpus if facts.slots is None else min(rules.gpus, facts.slots)


def asked(population: Population) -> list[Lineage]:
    """The living lineages whose minds are asked for ideas, and not only sent some."""
    return [line for line in population.living if line.proposer != SUBMIT]


def spent(population: Population, rules: Rules) -> bool:
    """Whether no money is left for minds that take some."""
    return rules.max_cost is not None and population.cost_usd >= rules.max_cost


def startup_s(population: Population) -> float:
    """How long it took a trial to start up that nothing was done for ahead; 0.0 before one has."""
    usages = (trial.usage for trial in population.trials.values())
    return next((usage.startup_s for usage in usages if usage is not None), 0.0)


def trial_s(population: Population) -> float:
    """How long the next trial will take, start-up and exam included: as long as the longest of late."""
    usages = (trial.usage for trial in islice(reversed(population.trials.values()), 5))
    return max([population.run.budget_s, *(usage.wall_s for usage in usages if usage is not None)])


def _affordable(population: Population, rules: Rules) -> float:
    """Trials of ideas that can be paid for; infinite where some take nothing, or nothing is known yet.

    At least one while any money is left: what the next idea takes is known when it is there. When all is
    spent no idea comes any more, which ends a run by itself.
    """
    minds, taken = {line.proposer for line in asked(population)}, population.cost_usd
    known = population.finished >= _TELLING and minds <= population.costs.keys()
    if rules.max_cost is None or not known or not 0 < taken < rules.max_cost:
        return inf
    return max(1.0, (rules.max_cost - taken) // (taken / population.finished))
