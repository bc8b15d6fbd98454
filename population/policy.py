"""What is decided: pure functions from a population to the next decision.

`decide` is asked again after every event and answers with one decision, or None where the run has to wait
for a proposal or for a trial that is under way. Policies differ in three questions only:

| policy       | who gets the GPU              | what a candidate starts from | what advances            |
|--------------|-------------------------------|------------------------------|--------------------------|
| promise      | best sampled forecast         | the best proven commit       | what is probably better  |
| greedy       | the lineage with the best tip | the lineage's tip            | a better score           |
| round-robin  | each in turn                  | the lineage's tip            | a better score           |
| best-of-n    | each in turn                  | the baseline, always         | a better score           |

`promise` alone shares wins, tries combinations, measures finalists again, and gives a lineage's place to
another (see promise, crossing, finals and turnover). Better is lower.
"""

from typing import TypeAlias, assert_never

from population.deciding.assigning import DRY, FIRST_SEED, dry, first, fresh, soonest
from population.deciding.horizon import slots, spent, trials_left
from population.deciding.rules import POLICIES, Facts, PolicyName, Rules
from population.deciding.verdicts import told, verdict
from population.promising.finals import due
from population.promising.promise import Step, promised
from population.promising.sharing import sharing
from population.records import Combined, Ended, Judged
from population.state import Lineage, Population

__all__ = [
    "DRY", "FIRST_SEED", "POLICIES", "Decision", "Facts", "PolicyName", "Rules", "decide",
]  # fmt: skip

Decision: TypeAlias = Step | Judged | Ended


def decide(population: Population, rules: Rules, facts: Facts) -> Decision | None:
    """The next decision, or None to wait. Same arguments, same answer."""
    if population.unjudged:
        trial = population.trials[population.unjudged[0]]
        return Judged(trial.number, *verdict(population, trial, raw=rules.policy != "promise"))
    if population.ended is not None or population.combining is not None:
        return None
    if rules.policy == "promise" and (step := sharing(population)):
        return step
    if reason := _over(population, rules, facts):
        return None if population.running else Ended(reason)
    if len(population.running) >= slots(rules, facts):
        return _made_ready(population, rules, facts)
    return _next(population, rules, facts)


def _made_ready(population: Population, rules: Rules, facts: Facts) -> Combined | None:
    """A stale idea that is put on the new tip while the GPU is busy, if it would be next."""
    waits = any(line.ready for line in population.living)
    if not rules.speculates or not waits or any(fresh(population, line) for line in population.living):
        return None
    step = _next(population, rules, facts)
    return step if isinstance(step, Combined) and set(step.candidates).isdisjoint(population.tried) else None


def _next(population: Population, rules: Rules, facts: Facts) -> Step | None:
    """What to do with a GPU that is free, while trials may be under way on others; None to wait."""
    if population.baseline_score is None:
        number = _baseline(population)
        return None if number is None else first(population, number, "the baseline comes first")
    if (number := _submitted(population)) is not None:
        return first(population, number, "it was submitted, and somebody waits for it")
    if rules.policy == "promise":
        return promised(population, rules, facts)
    lineage = _turn(population, rules, facts)
    if lineage is None or not lineage.ready:
        return None
    return first(population, lineage.ready[0], _why(rules, lineage))


def _over(population: Population, rules: Rules, facts: Facts) -> str | None:
    """Why no further trial may begin, or None. A trial is begun only if it can end within the limit."""
    if facts.stopping:
        return "stopped by hand"
    waiting = population.running or _baseline(population) is not None
    if population.baseline_score is None and population.finished and not waiting:
        last = population.trials[max(population.trials)]
        return f"the baseline has no score: {told(last)}"
    if rules.trials is not None and population.finished + len(population.running) >= rules.trials:
        return f"all {rules.trials} trials are done"
    if trials_left(population, rules, facts) < 1:
        return _spent(population, rules) or f"another trial would not end within {rules.hours:g} hours"
    if dry(population, rules) and not (rules.policy == "promise" and due(population, 0.0)):
        return _spent(population, rules) or "no lineage has an idea left"
    return None


def _spent(population: Population, rules: Rules) -> str | None:
    """What the minds have cost, if that is all they may."""
    if not spent(population, rules):
        return None
    return f"${population.cost_usd:.2f} are spent, of ${rules.max_cost:.2f} for minds"


def _baseline(population: Population) -> int | None:
    """The baseline's candidate, if that waits for the GPU."""
    number = None if population.baseline is None else population.commits[population.baseline]
    return number if any(number in line.ready for line in population.living) else None


def _submitted(population: Population) -> int | None:
    """The oldest candidate waiting that somebody submitted."""
    waiting = (number for line in population.living for number in line.ready)
    external = (number for number in waiting if population.candidates[number].operator == "external")
    return min(external, default=None)


def _turn(population: Population, rules: Rules, facts: Facts) -> Lineage | None:
    """The lineage whose turn it is under a policy that compares single scores."""
    if not any(line.ready for line in population.living):
        return None
    soon = soonest(population, rules, facts)
    if rules.policy == "greedy":
        return min(soon, key=lambda line: (_tip_score(population, line), len(line.trials)))
    return min(soon, key=lambda line: len(line.trials))


def _why(rules: Rules, lineage: Lineage) -> str:
    match rules.policy:
        case "greedy":
            return f"{lineage.name} has the best tip"
        case "promise" | "round-robin" | "best-of-n":
            return f"it is {lineage.name}'s turn"
        case _:
            assert_never(rules.policy)


def _tip_score(population: Population, lineage: Lineage) -> float:
    score = population.score(lineage.tip)
    return float("inf") if score is None else score
