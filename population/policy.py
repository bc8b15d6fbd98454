"""What is decided: pure functions from a population to the next decision.

`decide` is asked again after every event and answers with one decision, or None where the run has to wait
for a proposal or for the trial that is under way. Policies differ in three questions only:

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

from population.assigning import FIRST_SEED, first, fresh, soonest
from population.horizon import trials_left
from population.promising.promise import Step, promised
from population.promising.sharing import sharing
from population.records import Ended, Judged
from population.rules import POLICIES, Facts, PolicyName, Rules
from population.state import Lineage, Population
from population.verdicts import told, verdict

__all__ = [
    "DRY", "FIRST_SEED", "POLICIES", "Decision", "Facts", "PolicyName", "Rules", "decide", "parent",
    "wanting", ]  # fmt: skip

DRY = 3  # requests in a row without an idea after which a lineage is not asked again

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
    if population.running is not None:
        return None
    if reason := _over(population, rules, facts):
        return Ended(reason)
    if rules.policy == "promise" and population.baseline_score is not None:
        return promised(population, rules, facts)
    lineage = _turn(population, rules, facts)
    if lineage is None or not lineage.ready:
        return None
    return first(population, lineage.ready[0], _why(population, rules, lineage))


def wanting(population: Population) -> list[str]:
    """Names of the lineages that should be asked for a candidate now, fewest trials first."""
    if population.ended is not None or population.baseline_score is None:
        return []
    idle = [
        line
        for line in population.living
        if fresh(population, line) is None and not _busy(population, line) and line.declined < DRY
    ]
    return [line.name for line in sorted(idle, key=lambda line: len(line.trials))]


def parent(population: Population, rules: Rules, lineage: Lineage) -> str:
    """The commit that the lineage's next candidate starts from."""
    return lineage.root if rules.policy == "best-of-n" else lineage.tip


def _over(population: Population, rules: Rules, facts: Facts) -> str | None:
    """Why no further trial may begin, or None. A trial is begun only if it can end within the limit."""
    if facts.stopping:
        return "stopped by hand"
    waiting = any(line.ready for line in population.living)
    if population.baseline_score is None and population.finished and not waiting:
        last = population.trials[max(population.trials)]
        return f"the baseline has no score: {told(last)}"
    if rules.trials is not None and population.finished >= rules.trials:
        return f"all {rules.trials} trials are done"
    if trials_left(population, rules, facts) < 1:
        return f"another trial would not end within {rules.hours:g} hours"
    if all(line.declined >= DRY and not line.ready for line in population.living):
        return "no lineage has an idea left"
    return None


def _turn(population: Population, rules: Rules, facts: Facts) -> Lineage | None:
    """The lineage whose turn it is under a policy that compares single scores."""
    if not any(line.ready for line in population.living):
        return None
    soon = soonest(population, rules, facts)
    if rules.policy == "greedy":
        return min(soon, key=lambda line: (_tip_score(population, line), len(line.trials)))
    return min(soon, key=lambda line: len(line.trials))


def _why(population: Population, rules: Rules, lineage: Lineage) -> str:
    if population.baseline_score is None:
        return "the baseline comes first"
    match rules.policy:
        case "greedy":
            return f"{lineage.name} has the best tip"
        case "promise" | "round-robin" | "best-of-n":
            return f"it is {lineage.name}'s turn"
        case _:
            assert_never(rules.policy)


def _busy(population: Population, lineage: Lineage) -> bool:
    """Whether the lineage's own trial is under way or not judged yet; its next idea depends on it."""
    waiting = [*population.unjudged] + ([population.running] if population.running else [])
    return any(population.trials[n].candidate.lineage == lineage.name for n in waiting)


def _tip_score(population: Population, lineage: Lineage) -> float:
    score = population.score(lineage.tip)
    return float("inf") if score is None else score
