"""The policy `promise`: each trial to what gains most, in a sample of what is believed.

There are three ways to use the GPU: a new idea of a lineage's mind (forecasts.py); changes that may be
gains, tried together, or taken out again (crossing.py); and a look around from near misses (ventures.py).
All are measured in gain a trial, and what a run has seen of each decides between them, so that nobody has
to know beforehand what kind of landscape it is.
"""

from random import Random
from typing import TypeAlias

from population.assigning import again, dry, first, fresh, is_thinking, soonest
from population.horizon import trials_left
from population.promising import ventures
from population.promising.crossing import crossing, idle
from population.promising.finals import due, opening
from population.promising.forecasts import Forecast, forecasts
from population.promising.lines import looked
from population.promising.sharing import PATIENCE, leading, venturer
from population.promising.turnover import turnover
from population.records import Adopted, Assigned, Combined, Founded, Pruned
from population.rules import Facts, Rules
from population.state import Lineage, Population

Step: TypeAlias = Adopted | Assigned | Combined | Founded | Pruned


def promised(population: Population, rules: Rules, facts: Facts) -> Step | None:
    """What to do with a GPU that is free; None to wait. The baseline has a score."""
    left = 0.0 if dry(population, rules) else trials_left(population, rules, facts)
    finals = due(population, left)
    if left <= len(finals) and finals:
        return again(population, finals[-1], "a finalist, measured with a fresh seed")
    if (number := opening(population, left)) is not None:
        return again(population, number, "measured as the session begins, for what is to be compared with it")
    for lineage in population.living:
        for number in lineage.ready:
            if not population.candidates[number].is_idea:
                return first(population, number, "as decided")
    if change := turnover(population, rules.lineages, rules.pairs):
        return change
    left -= len(finals)
    return _searched(population, rules, facts, left)


def _searched(population: Population, rules: Rules, facts: Facts, left: float) -> Step | None:
    """The use of the GPU that promises most, with so many trials `left`."""
    rng = Random(f"{rules.seed} {len(population.trials)}")  # waiting does not throw the dice again
    leader, believed = leading(population), forecasts(population, rng)
    assert leader is not None, "the baseline has a score"
    away, settled = venturer(population, leader), ventures.settled(population, leader)
    if away is not None and looked(population, away.tip) >= PATIENCE:
        parts = idle(population, away.tip, leader)
        return Combined(away.name, away.tip, parts, "ablate", "what its way was found without")
    home = {name: found for name, found in believed.items() if away is None or name != away.name}
    hope, aside = _mean(home), ventures.forecast(population, rng)
    if crossed := _crossed(population, leader, max(hope, aside), settled or left <= PATIENCE):
        return crossed
    soon = soonest(population, rules, facts)
    if not any(line.ready for line in soon):
        return None
    if aside > hope and away is None and settled and left > PATIENCE:
        step = ventures.venture(population, leader, max(home, key=lambda name: home[name].sampled))
        if step is not None:
            return step
    turn = max(soon, key=lambda line: believed[line.name].sampled if line.name in home else 0.0)
    if away is not None and away in soon:
        turn = away  # half a look around finds nothing
    return _given(population, turn, rules, facts)


def _given(population: Population, turn: Lineage, rules: Rules, facts: Facts) -> Assigned | Combined | None:
    """The GPU for a lineage's idea, or the moment's wait that a fresh one is worth."""
    if (number := fresh(population, turn)) is not None:
        return first(population, number, f"{turn.name} has the best sampled forecast")
    if not turn.ready or is_thinking(turn, rules, facts):
        return None
    idea = population.candidates[turn.ready[0]]
    return Combined(turn.name, turn.tip, (idea.number,), idea.operator, "its lineage's tip has moved")


def _mean(some: dict[str, Forecast]) -> float:
    """Expected gain of a trial over some lineages, as the GPU is shared among them."""
    weight = sum(found.trials + 1 for found in some.values())
    return sum(found.expected * (found.trials + 1) for found in some.values()) / weight if some else 0.0


def _crossed(population: Population, leader: str, hope: float, settled: bool) -> Combined | Assigned | None:
    """A trial of what is not proven yet, if that promises more than the `hope` of anything else."""
    found = crossing(population, leader, settled)
    if found is None or found.gain <= hope:
        return None
    strongest = population.candidates[found.candidates[0]]
    expected = f"{found.gain:.1f} sigmas are expected of it, {hope:.1f} of anything else"
    if found.operator == "merge" and len(found.candidates) == 1 and strongest.base == leader:
        return again(population, strongest.number, f"inside the noise: {expected}")
    home = [line.name for line in population.living if line.tip == leader] or [population.living[0].name]
    lineage = strongest.lineage if strongest.lineage in home else home[0]
    why = "it may do without" if found.operator == "ablate" else "none is proven by itself"
    return Combined(lineage, leader, found.candidates, found.operator, f"{why}: {expected}")
