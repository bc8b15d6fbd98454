"""What was not tried together yet."""

from population.records import Operator
from population.state import Population


def untried(population: Population, operator: Operator, candidates: tuple[int, ...]) -> tuple[int, ...]:
    """Of some candidates those to combine next: all of them, or if that has failed one half, then the other.

    That is delta debugging (Zeller and Hildebrandt 2002, IEEE Transactions on Software Engineering 28, 183).
    More than half of what failed together counts as tried, and so does all of that with others.
    """
    wanted = frozenset(candidates)
    for how, failed in population.combined:
        if how == operator and (failed <= wanted or (wanted < failed and 2 * len(wanted) > len(failed))):
            break
    else:
        return candidates
    half = (len(candidates) + 1) // 2
    if half == len(candidates):
        return ()
    halves = candidates[:half], candidates[half:]
    return untried(population, operator, halves[0]) or untried(population, operator, halves[1])
