"""When to leave the best known commit: ventures from near misses, for what only works in combination.

Some changes cost a little and open a way: others that failed before them work after them. No line that
takes only what is better ever finds out. So a lineage may step aside onto a near miss, or onto several
older ones at once, and look around for a few trials. It stays as long as that leads on, everyone follows
if it comes to be the best there is, and else it comes back. What it found is not lost then, since changes
are merged by structure. Whether ventures pay is learned like everything else, from those of this run.
"""

from random import Random
from typing import Final

from population import forecasts
from population.evidence import weigh
from population.records import Adopted, Combined
from population.sharing import ancestry, stepped_aside
from population.state import Lineage, Population

_NEAR: Final = 1.0  # sigmas that a change may cost and still be a near miss
_TOGETHER: Final = 8  # near misses that are carried over to a new tip at once
_EARLY: Final = 15  # trials of a venture that tell whether it paid
_RATE, _GAIN = 0.4, 4.0  # before the first venture: rate of success, and gain of one in sigmas
_PRIOR: Final = 8.0  # trials that this counts for
_FADE: Final = 0.98  # how much less a trial of a venture weighs than the next one


def forecast(population: Population, rng: Random) -> float:
    """Gain of the next trial of a venture, sampled, in sigmas."""
    trials: dict[str, list[int]] = {}
    roots: dict[str, str] = {}
    for commit, number in population.bases.items():
        candidate = population.candidates[number]
        if candidate.base in roots:
            roots[commit] = roots[candidate.base]
        elif stepped_aside(population, commit):
            roots[commit] = commit
            trials[commit] = [population.tried[number]] if candidate.operator == "merge" else []
        else:
            continue
        early = population.children.get(commit, [])[:_EARLY]
        children = (population.commits[child] for child in early)
        trials[roots[commit]] += [population.tried[child] for child in children]
    first = sorted((number for some in trials.values() for number in sorted(some)[:_EARLY]), reverse=True)
    found = forecasts.weighed((population.trials[number] for number in first), weigh(population), _FADE)
    return forecasts.forecast(found, _RATE, _GAIN, _PRIOR, rng).sampled


def venturer(population: Population, leader: str) -> Lineage | None:
    """The lineage that is away from `leader`, the commit everyone builds on, if one is."""
    line = ancestry(population, leader)
    return next((lineage for lineage in population.living if lineage.tip not in line), None)


def venture(population: Population, leader: str, lineage: str) -> Adopted | Combined | None:
    """The next step of a new venture: onto a near miss, or to carry older ones over to `leader`."""
    if near := _near_misses(population, {leader}):
        return Adopted(lineage, population.candidates[near[0]].commit, "to look around from a near miss")
    chosen = _near_misses(population, ancestry(population, leader))[:_TOGETHER]
    while chosen and frozenset(chosen) in population.combined:
        chosen = chosen[: len(chosen) // 2]
    if len(chosen) < 2:
        return None
    return Combined(lineage, leader, tuple(chosen), "merge", "near misses, which may open a way together")


def _near_misses(population: Population, bases: set[str]) -> list[int]:
    """Candidates tried from some bases that cost little and that nobody has built on, the best first."""
    near = [
        (effect.mean, number)
        for number, effect in weigh(population).effects.items()
        if (candidate := population.candidates[number]).base in bases
        and candidate.commit not in population.bases
        and effect.mean < _NEAR * max(1, len(candidate.combines))
        and candidate.operator != "ablate"
    ]
    return [number for _, number in sorted(near)]
