"""The policy `promise`: each trial to what gains most, in a sample of what is believed.

There are three ways to use the GPU: a new idea of a lineage's mind (forecasts.py); changes that may be
gains, tried together, or taken out again (crossing.py); and a look around from near misses (ventures.py).
All are measured in gain a trial, and what a run has seen of each decides between them, so that nobody has
to know beforehand what kind of landscape it is.
"""

from random import Random
from typing import TypeAlias

from msgspec import Struct

from population.deciding.assigning import again, dry, first, fresh, has_begun, is_thinking, soonest
from population.deciding.horizon import trials_left
from population.deciding.rules import Facts, Rules
from population.promising import ventures
from population.promising.crossing import crossing, idle
from population.promising.finals import due, opening, torn
from population.promising.forecasts import Forecast, forecasts
from population.promising.lines import looked
from population.promising.sharing import PATIENCE, leading, venturer
from population.promising.turnover import turnover
from population.records import Adopted, Assigned, Combined, Founded, Pruned
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
    if (number := torn(population, left)) is not None:
        return again(population, number, "its two scores contradict each other: a third decides")
    for lineage in population.living:
        for number in lineage.ready:
            if not population.candidates[number].is_idea:
                return first(population, number, "as decided")
    if change := turnover(population, rules.lineages, rules.pairs):
        return change
    left -= len(finals)
    return _searched(population, rules, facts, left)


class Prospects(Struct, frozen=True):
    """What there is to decide between; gains a trial in sigmas."""

    leader: str  # the commit that everyone builds on
    away: Lineage | None  # who looks around from somewhere else
    settled: bool  # nothing more is expected of the venture that led to the leader, if one did
    home: dict[str, Forecast]  # of those who build on the leader, by name
    hope: float  # of one of their ideas
    aside: float  # of a look around, sampled
    left: float  # trials


def _searched(population: Population, rules: Rules, facts: Facts, left: float) -> Step | None:
    """The use of the GPU that promises most, with so many trials `left`."""
    seen = _prospects(population, rules, left)
    if step := _tidied(population, seen) or _crossed(population, seen):
        return step
    soon = soonest(population, rules, facts)
    if not any(line.ready for line in soon):
        return None
    return _ventured(population, seen) or _given(population, _turn(seen, soon), rules, facts)


def _prospects(population: Population, rules: Rules, left: float) -> Prospects:
    rng = Random(f"{rules.seed} {len(population.trials)}")  # waiting does not throw the dice again
    leader, believed = leading(population), forecasts(population, rng)
    assert leader is not None, "the baseline has a score"
    away = venturer(population, leader)
    home = {name: found for name, found in believed.items() if away is None or name != away.name}
    aside = ventures.forecast(population, rng)
    settled = ventures.settled(population, leader)
    return Prospects(leader, away, settled, home, _mean(home), aside, left)


def _mean(some: dict[str, Forecast]) -> float:
    """Expected gain of a trial over some lineages, as the GPU is shared among them."""
    weight = sum(found.trials + 1 for found in some.values())
    return sum(found.expected * (found.trials + 1) for found in some.values()) / weight if some else 0.0


def _tidied(population: Population, seen: Prospects) -> Combined | None:
    """Half of what a venture set out from, taken out before it is given up."""
    if seen.away is None or looked(population, seen.away.tip) < PATIENCE:
        return None
    parts = idle(population, seen.away.tip, seen.leader)
    return Combined(seen.away.name, seen.away.tip, parts, "ablate", "what its way was found without")


def _crossed(population: Population, seen: Prospects) -> Combined | Assigned | None:
    """A trial of what is not proven yet, if that promises more than anything else."""
    hope = max(seen.hope, seen.aside)
    found = crossing(population, seen.leader, may_ablate=seen.settled or seen.left <= PATIENCE)
    if found is None or found.gain <= hope:
        return None
    strongest = population.candidates[found.candidates[0]]
    expected = f"{found.gain:.1f} sigmas are expected of it, {hope:.1f} of anything else"
    if found.operator == "merge" and len(found.candidates) == 1 and strongest.base == seen.leader:
        return again(population, strongest.number, f"inside the noise: {expected}")
    home = [line.name for line in population.living if line.tip == seen.leader]
    home = home or [population.living[0].name]
    lineage = strongest.lineage if strongest.lineage in home else home[0]
    why = "it may do without" if found.operator == "ablate" else "none is proven by itself"
    return Combined(lineage, seen.leader, found.candidates, found.operator, f"{why}: {expected}")


def _ventured(population: Population, seen: Prospects) -> Adopted | Combined | None:
    """A step aside, if a look around promises more than staying, and there is time for one."""
    if seen.aside <= seen.hope or seen.away is not None or not seen.settled or seen.left <= PATIENCE:
        return None
    keenest = max(seen.home, key=lambda name: seen.home[name].sampled)
    return ventures.venture(population, seen.leader, keenest)


def _turn(seen: Prospects, soon: list[Lineage]) -> Lineage:
    """Whose idea is next: of those who have one soon, the best sampled forecast."""
    if seen.away is not None and seen.away in soon:
        return seen.away  # half a look around finds nothing
    return max(soon, key=lambda line: seen.home[line.name].sampled if line.name in seen.home else 0.0)


def _given(population: Population, turn: Lineage, rules: Rules, facts: Facts) -> Assigned | Combined | None:
    """The GPU for a lineage's idea, or the moment's wait that a fresh one is worth."""
    if numbers := fresh(population, turn):
        why = "had, when this was started up," if has_begun(population, turn, facts) else "has"
        return first(population, numbers[0], f"{turn.name} {why} the best sampled forecast")
    if not turn.ready or (not rules.speculates and is_thinking(turn, rules, facts)):
        return None
    idea = population.candidates[turn.ready[0]]
    return Combined(turn.name, turn.tip, (idea.number,), idea.operator, "its lineage's tip has moved")
