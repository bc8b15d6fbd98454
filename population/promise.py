"""The policy `promise`: each trial to what gains most, in a sample of what is believed.

There are three ways to use the GPU: a new idea of a lineage's mind (forecasts.py); changes that may be
gains, tried together, or taken out again (crossing.py); and a look around from near misses (ventures.py).
All are measured in gain a trial, and what a run has seen of each decides between them, so that nobody has
to know beforehand what kind of landscape it is.
"""

from random import Random
from typing import TypeAlias

from population import ventures
from population.assigning import again, first, soonest
from population.crossing import crossing
from population.finals import champion, finalist, finals
from population.forecasts import Forecast, forecasts
from population.records import Adopted, Assigned, Combined, Founded, Pruned
from population.rules import Facts, Rules
from population.sharing import leading
from population.state import Population
from population.turnover import turnover

Step: TypeAlias = Adopted | Assigned | Combined | Founded | Pruned


def promised(population: Population, rules: Rules, facts: Facts) -> Step | None:
    """What to do with a GPU that is free; None to wait. The baseline has a score."""
    if rules.trials is not None and population.finished >= rules.trials - finals(rules.trials):
        number = finalist(population)
        if number is not None:
            return again(population, number, "a finalist, measured with a fresh seed")
    if (number := champion(population)) is not None:
        return again(population, number, "the champion, to compare this session's scores with earlier ones")
    if change := turnover(population, rules.lineages, rules.pairs):
        return change
    for lineage in population.living:
        for number in lineage.ready:
            if population.candidates[number].operator in ("merge", "ablate"):
                return first(population, number, "as decided")
    rng = Random(f"{rules.seed} {len(population.trials)}")  # waiting does not throw the dice again
    leader, believed = leading(population), forecasts(population, rng)
    assert leader is not None, "the baseline has a score"
    away = ventures.venturer(population, leader)
    home = {name: found for name, found in believed.items() if away is None or name != away.name}
    hope, aside = _mean(home), ventures.forecast(population, rng)
    if crossed := _crossed(population, leader, max(hope, aside)):
        return crossed
    soon = soonest(population, rules, facts)
    if not any(line.ready for line in soon):
        return None
    if aside > hope and away is None:
        step = ventures.venture(population, leader, max(home, key=lambda name: home[name].sampled))
        if step is not None:
            return step
    turn = max(soon, key=lambda line: believed[line.name].sampled if line.name in home else 0.0)
    if aside > hope and away is not None and away in soon:
        turn = away
    if not turn.ready:
        return None
    return first(population, turn.ready[0], f"{turn.name} has the best sampled forecast")


def _mean(some: dict[str, Forecast]) -> float:
    """Expected gain of a trial over some lineages, as the GPU is shared among them."""
    weight = sum(found.trials + 1 for found in some.values())
    return sum(found.expected * (found.trials + 1) for found in some.values()) / weight if some else 0.0


def _crossed(population: Population, leader: str, hope: float) -> Combined | Assigned | None:
    """A trial of what is not proven yet, if that promises more than the `hope` of anything else."""
    found = crossing(population, leader)
    if found is None or found.gain <= hope:
        return None
    strongest = population.candidates[found.candidates[0]]
    expected = f"{found.gain:.1f} sigmas are expected of it, {hope:.1f} of anything else"
    if found.operator == "merge" and len(found.candidates) == 1 and strongest.base == leader:
        return again(population, strongest.number, f"inside the noise: {expected}")
    home = [line.name for line in population.living if line.tip == leader]
    lineage = strongest.lineage if strongest.lineage in home else home[0]
    why = "it may do without" if found.operator == "ablate" else "none is proven by itself"
    return Combined(lineage, leader, found.candidates, found.operator, f"{why}: {expected}")
