"""What is worth trying together: changes that may be gains, none of them proven.

A change inside the noise is not worth a second trial by itself, but several that are each more likely
gains than not are worth one together: their effects add up and the noise does not. What was tried before
the tip moved on is carried over, which gives it the second look that a failure under other circumstances
deserves.
"""

from typing import Final

from msgspec import Struct

from population.evidence import weigh
from population.records import Operator
from population.sharing import ancestry
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


def crossing(population: Population, tip: str) -> Crossing | None:
    """The most promising combination on top of `tip`, or None if nothing waits for confirmation."""
    line, effects = ancestry(population, tip), weigh(population).effects
    steps = [population.candidates[population.bases[commit]] for commit in line]
    parts = {part for step in steps for part in (step.combines or (step.number,))}
    near = [
        (effect.mean, number)
        for number, effect in effects.items()
        if effect.mean < -_LEAST
        and (candidate := population.candidates[number]).commit not in line
        and number not in parts
        and not (len(candidate.combines) > 1)
        and len(population.scores[candidate.commit]) < _REPEATS
    ]
    idle = [(-effects[part].mean, part) for part in parts if part in effects and effects[part].mean > _LEAST]
    found = [_chosen(population, "merge", near), _chosen(population, "ablate", idle)]
    return max((one for one in found if one is not None), key=lambda one: one.gain, default=None)


def _chosen(population: Population, operator: Operator, some: list[tuple[float, int]]) -> Crossing | None:
    """The best few of some changes with their effects that were not tried together before."""
    chosen = sorted(some)[: _MOST if operator == "merge" else _WITHOUT]
    while chosen and frozenset(number for _, number in chosen) in population.combined:
        chosen.pop()
    if not chosen:
        return None
    return Crossing(operator, tuple(number for _, number in chosen), -sum(mean for mean, _ in chosen))
