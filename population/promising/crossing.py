"""What is worth trying together: changes that may be gains, none of them proven.

A change inside the noise is not worth a second trial by itself, but several that are each more likely
gains than not are worth one together: their effects add up and the noise does not. What was tried before
the tip moved on is carried over, which gives it the second look that a failure under other circumstances
deserves.
"""

from typing import Final

from msgspec import Struct

from population.evidence import weigh
from population.promising.lines import ancestry, stepped_aside, steps
from population.promising.untried import untried
from population.records import Operator
from population.state import Population

_MOST: Final = 4  # changes tried together
_WITHOUT: Final = 8  # changes taken out together
_LEAST: Final = 0.1  # sigmas that a change must promise
_REPEATS: Final = 3  # times a change is measured by itself


class Crossing(Struct, frozen=True):
    """Candidates to try together, or to try without, and the gain that is expected of it, in sigmas."""

    operator: Operator
    candidates: tuple[int, ...]
    gain: float


def crossing(population: Population, tip: str, may_ablate: bool) -> Crossing | None:
    """The most promising combination on top of `tip`, or None if nothing waits for confirmation.

    What seems idle is taken out only where it `may_ablate`: as long as a tip is young it may yet open a way.
    """
    line, effects = ancestry(population, tip), weigh(population).effects
    running = {population.trials[number].candidate.number for number in population.running}
    parts = {part for step in steps(population, line) for part in (step.combines or (step.number,))}
    near = [
        (effect.mean, number)
        for number, effect in effects.items()
        if effect.mean < -_LEAST
        and (candidate := population.candidates[number]).commit not in line
        and number not in parts
        and not (len(candidate.combines) > 1)
        and len(population.turns[number]) < _REPEATS
        and number not in running
    ]
    vain = [(-effects[part].mean, part) for part in parts if part in effects and effects[part].mean > _LEAST]
    found = [_chosen(population, "merge", near), _chosen(population, "ablate", vain) if may_ablate else None]
    return max((one for one in found if one is not None), key=lambda one: one.gain, default=None)


def idle(population: Population, tip: str, leader: str) -> tuple[int, ...]:
    """Near misses to take out of the venture that led to `tip`, before it is given up.

    Without them what it found may be better than `leader`. None where it found nothing, or all was tried.
    """
    line = steps(population, ancestry(population, tip) - ancestry(population, leader))
    if not any(step.is_idea and not stepped_aside(population, step.commit) for step in line):
        return ()
    gone = {part for step in line if step.operator == "ablate" for part in step.combines}
    aside = [step for step in line if step.operator == "venture"]
    return untried(population, "ablate", tuple(p for s in aside for p in s.combines if p not in gone))


def _chosen(population: Population, operator: Operator, some: list[tuple[float, int]]) -> Crossing | None:
    """The best few of some changes with their effects, so far as they were not tried together before."""
    means = {number: mean for mean, number in sorted(some)[: _MOST if operator == "merge" else _WITHOUT]}
    chosen = untried(population, operator, tuple(means))
    return Crossing(operator, chosen, -sum(means[number] for number in chosen)) if chosen else None
