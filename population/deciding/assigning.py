"""How a candidate is given the GPU: for the first time or again, and whose idea is worth waiting for.

Ideas are had while the GPU is busy, so the tip may have moved by the time it is free. Such an idea is stale:
its lineage is asked for another, and it is tried on the new tip only if that does not come in time.
"""

from typing import Final

from population.deciding.horizon import asked, spent
from population.deciding.rules import Begun, Facts, Rules
from population.names import reads
from population.records import Assigned, Candidate
from population.state import Lineage, Population

DRY: Final = 3  # requests in a row without an idea after which a lineage is not asked again

# Every first trial runs with the same seed: paired seeds halve the noise of a comparison.
FIRST_SEED: Final = 1


def first(population: Population, candidate: int, reason: str) -> Assigned:
    """A candidate's first trial."""
    return Assigned(len(population.trials) + 1, candidate, FIRST_SEED, reason)


def again(population: Population, candidate: int, reason: str) -> Assigned:
    """Measure a candidate again, with the next seed that it was not given yet."""
    taken = max((trial.seed for trial in population.turns.get(candidate, ())), default=FIRST_SEED - 1)
    return Assigned(len(population.trials) + 1, candidate, taken + 1, reason)


def soonest(population: Population, rules: Rules, facts: Facts) -> list[Lineage]:
    """Lineages that have a candidate, or are still thinking and worth a moment's wait.

    Where trials start up ahead of their turn nobody is waited for, as long as any has one; and what has
    started up goes on, though a better one may have come since.
    """
    if rules.speculates:
        ready = [line for line in population.living if line.ready]
        up_to_date = [line for line in ready if fresh(population, line)]
        if soon := up_to_date or ready:
            nexts = {_begins(population, line): line for line in soon}
            return [nexts[begun] for begun in facts.ahead if begun in nexts][:1] or soon
    return [line for line in population.living if line.ready or is_thinking(line, rules, facts)]


def is_thinking(lineage: Lineage, rules: Rules, facts: Facts) -> bool:
    """Whether the lineage was asked so lately that its idea is worth waiting for."""
    return facts.thinking.get(lineage.name, rules.patience_s) < rules.patience_s


def parent(population: Population, lineage: Lineage) -> str:
    """The commit that the lineage's next candidate starts from."""
    return lineage.root if population.run.policy == "best-of-n" else lineage.tip


def fresh(population: Population, lineage: Lineage) -> list[int]:
    """The candidates waiting that were made from where the lineage stands, oldest first."""
    stand = parent(population, lineage)
    return [number for number in lineage.ready if population.candidates[number].base == stand]


def has_begun(population: Population, lineage: Lineage, facts: Facts) -> bool:
    """Whether what the lineage would try next has started up."""
    return _begins(population, lineage) in facts.ahead


def begun(population: Population, candidate: Candidate, base: str) -> Begun:
    """The trial of a candidate on `base`, named by its idea as it was before it was ever rebased."""
    number = candidate.number
    while len(candidate.combines) == 1:
        number = candidate.combines[0]
        candidate = population.candidates[number]
    return number, base


def _begins(population: Population, lineage: Lineage) -> Begun:
    """What the lineage, which has ideas, would try next."""
    ideas = fresh(population, lineage) or lineage.ready
    return begun(population, population.candidates[ideas[0]], parent(population, lineage))


def dry(population: Population, rules: Rules) -> bool:
    """Whether no lineage has an idea, nor will have one: not its mind, nor the optimiser in its place."""
    minds = asked(population)
    reading = any(reads(line.proposer) for line in minds)
    used_up = all(
        unaffordable(population, rules, line)
        or (line.declined >= DRY and (line.stood_in >= DRY or not reading))
        for line in minds
    )
    return bool(minds) and used_up and not any(line.ready for line in population.living)


def unaffordable(population: Population, rules: Rules, lineage: Lineage) -> bool:
    """Whether the lineage's mind takes money, and there is none left."""
    return spent(population, rules) and population.costs.get(lineage.proposer, 0.0) > 0
