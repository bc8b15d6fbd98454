"""When to leave the best known commit: ventures from near misses, for what only works in combination.

Some changes cost a little and open a way: others that failed before them work after them. No line that
takes only what is better ever finds out. Nor does one that looks around from a single near miss, since few
of them open anything. So several are put together, a lineage steps aside onto all of them, and looks around
for some trials. It stays as long as that leads on. Then what was of no use is taken out again (crossing.py),
and everyone follows once what is left is the best there is. Else it comes back, and since changes are merged
by structure what it found is not lost. Whether ventures pay is learned like everything else, from those of
this run.
"""

from random import Random
from typing import Final

from population.evidence import weigh
from population.promising import forecasts
from population.promising.lines import ancestry, looked, stepped_aside, steps
from population.promising.sharing import PATIENCE
from population.promising.untried import untried
from population.records import Adopted, Combined
from population.state import Population

_NEAR: Final = 3.0  # sigmas that a change may cost and still be a near miss
_FEW: Final = 3  # near misses without which a venture is not worth its while
_TOGETHER: Final = 8  # near misses that are put together
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
            trials[commit] = [population.tried[number]] if candidate.operator == "venture" else []
        else:
            continue
        early = population.children.get(commit, [])[:_EARLY]
        children = (population.commits[child] for child in early)
        trials[roots[commit]] += [population.tried[child] for child in children]
    first = sorted((number for some in trials.values() for number in sorted(some)[:_EARLY]), reverse=True)
    found = forecasts.weighed((population.trials[number] for number in first), weigh(population), _FADE)
    return forecasts.forecast(found, _RATE, _GAIN, _PRIOR, rng).sampled


def settled(population: Population, leader: str) -> bool:
    """Whether no venture led to `leader`, or else nothing more is expected of looking around from there."""
    ventured = any(stepped_aside(population, commit) for commit in ancestry(population, leader))
    return not ventured or looked(population, leader) >= PATIENCE


def venture(population: Population, leader: str, lineage: str) -> Adopted | Combined | None:
    """The next step of a new venture: to put near misses together, or onto what that came to."""
    if (ready := _prepared(population, leader)) is not None:
        return Adopted(lineage, ready, "to look around from near misses")
    near = _near_misses(population, leader)
    chosen = untried(population, "venture", near[:_TOGETHER]) if len(near) >= _FEW else ()
    if not chosen:
        return None
    only = population.candidates[chosen[0]]
    if len(chosen) == 1 and only.base == leader:
        return Adopted(lineage, only.commit, "to look around from a near miss")
    return Combined(lineage, leader, chosen, "venture", "near misses, which may open a way together")


def _prepared(population: Population, leader: str) -> str | None:
    """Near misses that were put together on `leader`, unless they cost too much."""
    effects = weigh(population).effects
    for commit in population.children.get(leader, ()):
        candidate = population.candidates[population.commits[commit]]
        if (
            candidate.operator == "venture"
            and commit not in population.bases
            and candidate.number in effects
            and effects[candidate.number].mean < _NEAR * len(candidate.combines)
        ):
            return commit
    return None


def _near_misses(population: Population, leader: str) -> tuple[int, ...]:
    """Single changes that cost little and that nobody has built on, the best first."""
    line = steps(population, ancestry(population, leader))
    ventures = [one for one in population.candidates.values() if one.operator == "venture"]
    taken = {part for candidate in (*line, *ventures) for part in candidate.combines}
    near = [
        (effect.mean, number)
        for number, effect in weigh(population).effects.items()
        if effect.mean < _NEAR
        and number not in taken
        and (candidate := population.candidates[number]).is_single
        and candidate.commit not in population.bases
    ]
    return tuple(number for _, number in sorted(near))
