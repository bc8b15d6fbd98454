"""What is decided: pure functions from a population to the next decision.

`decide` is asked again after every event and answers with one decision, or None where the run has to wait
for a proposal or for the trial that is under way. Policies differ in three questions only:

| policy       | who gets the GPU              | what a candidate starts from | what advances |
|--------------|-------------------------------|------------------------------|---------------|
| promise      | best sampled forecast         | the lineage's tip            | a better score |
| greedy       | the lineage with the best tip | the lineage's tip            | a better score |
| round-robin  | each in turn                  | the lineage's tip            | a better score |
| best-of-n    | each in turn                  | the baseline, always         | a better score |

Better is lower. A score equal to the tip's advances if its genome is simpler.
"""

from collections.abc import Mapping
from itertools import islice
from random import Random
from typing import Literal, TypeAlias, assert_never, get_args

from msgspec import Struct

from population.records import Assigned, Ended, Judged, Verdict
from population.state import Lineage, Population, Trial
from trainer.outcome import cause, status

PolicyName: TypeAlias = Literal["promise", "greedy", "round-robin", "best-of-n"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)

DRY = 3  # requests in a row without an idea after which a lineage is not asked again
FIRST_SEED = 1  # every first trial runs with the same seed: paired seeds halve the noise of a comparison
FADE = 0.95  # how much less a trial weighs in the forecast than the lineage's next one
OPEN_HORIZON = 40  # trials ahead that a run without a limit is planned for

Decision: TypeAlias = Assigned | Judged | Ended


class Rules(Struct, frozen=True):
    """What a run was told. Without a limit it goes on until it is stopped."""

    policy: PolicyName = "promise"
    seed: int = 0
    trials: int | None = None
    hours: float | None = None
    patience_s: float = 1.0  # how long the GPU waits for the most promising lineage's idea


class Facts(Struct, frozen=True):
    """What the journal does not tell: time spent, who is thinking for how long, and whether to stop."""

    elapsed_s: float = 0.0
    thinking: Mapping[str, float] = {}  # seconds since the lineage was asked
    stopping: bool = False


def decide(population: Population, rules: Rules, facts: Facts) -> Decision | None:
    """The next decision, or None to wait. Same arguments, same answer."""
    if population.unjudged:
        return _judge(population, population.trials[population.unjudged[0]])
    if population.running is not None or population.ended is not None:
        return None
    if reason := _over(population, rules, facts):
        return Ended(reason)
    lineage = _turn(population, rules, facts)
    if lineage is None or not lineage.ready:
        return None
    trial = len(population.trials) + 1
    return Assigned(trial, lineage.ready[0], FIRST_SEED, _why(population, rules, lineage))


def wanting(population: Population) -> list[str]:
    """Names of the lineages that should be asked for a candidate now, fewest trials first."""
    if population.ended is not None or population.baseline_score is None:
        return []
    idle = [
        line
        for line in population.lineages.values()
        if not line.ready and not _busy(population, line) and line.declined < DRY
    ]
    return [line.name for line in sorted(idle, key=lambda line: len(line.trials))]


def parent(population: Population, rules: Rules, lineage: Lineage) -> str:
    """The commit that the lineage's next candidate starts from."""
    return lineage.root if rules.policy == "best-of-n" else lineage.tip


def _over(population: Population, rules: Rules, facts: Facts) -> str | None:
    """Why no further trial may begin, or None. A trial is begun only if it can end within the limit."""
    if facts.stopping:
        return "stopped by hand"
    waiting = any(line.ready for line in population.lineages.values())
    if population.baseline_score is None and population.finished and not waiting:
        last = population.trials[max(population.trials)]
        return f"the baseline has no score: {_told(last)}"
    if rules.trials is not None and population.finished >= rules.trials:
        return f"all {rules.trials} trials are done"
    if rules.hours is not None and facts.elapsed_s + _trial_s(population) > rules.hours * 3600:
        return f"another trial would not end within {rules.hours:g} hours"
    if all(line.declined >= DRY and not line.ready for line in population.lineages.values()):
        return "no lineage has an idea left"
    return None


def _trial_s(population: Population) -> float:
    """How long the next trial will take, start-up and exam included: as long as the longest of late."""
    usages = (trial.usage for trial in islice(reversed(population.trials.values()), 5))
    return max([population.run.budget_s, *(usage.wall_s for usage in usages if usage is not None)])


def _turn(population: Population, rules: Rules, facts: Facts) -> Lineage | None:
    """The lineage whose turn it is. It may still be thinking: then it is worth a moment's wait."""
    if not any(line.ready for line in population.lineages.values()):
        return None
    soon = [
        line
        for line in population.lineages.values()
        if line.ready or facts.thinking.get(line.name, rules.patience_s) < rules.patience_s
    ]
    match rules.policy:
        case "round-robin" | "best-of-n":
            return min(soon, key=lambda line: len(line.trials))
        case "greedy":
            return min(soon, key=lambda line: (_tip_score(population, line), len(line.trials)))
        case "promise":
            rng = Random(f"{rules.seed} {len(population.trials)}")  # waiting does not throw the dice again
            horizon = (rules.trials or population.finished + OPEN_HORIZON) - population.finished
            share = horizon / len(population.lineages)
            forecasts = {
                line.name: forecast(population, line, share, rng) for line in population.lineages.values()
            }
            return min(soon, key=lambda line: forecasts[line.name])
        case _:
            assert_never(rules.policy)


def forecast(population: Population, lineage: Lineage, share: float, rng: Random) -> float:
    """Where the lineage's tip will be after `share` more trials, sampled (Thompson, 1933).

    Rate of success ~ Beta, mean gain of a success ~ inverse Gamma (conjugate to exponential gains), both
    with recent trials weighing more and a prior of two trials at the rate and gain of all lineages.
    """
    rate_prior, gain_prior = _pooled(population)
    weight, wins, failures, gained = 1.0, 0.0, 0.0, 0.0
    for number in reversed(lineage.trials):
        trial = population.trials[number]
        if trial.verdict is None or trial.candidate.operator == "baseline":
            continue
        if trial.verdict == "advance":
            wins += weight
            gained += weight * (trial.gain or 0.0)
        else:
            failures += weight
        weight *= FADE
    rate = rng.betavariate(wins + 2 * rate_prior, failures + 2 * (1 - rate_prior))
    gain = (gained + 2 * gain_prior) / rng.gammavariate(wins + 2, 1.0)
    return _tip_score(population, lineage) - share * rate * gain


def _pooled(population: Population) -> tuple[float, float]:
    """Rate of success and mean gain of a success over all lineages, before and with the data."""
    gains = population.gains
    rate = (len(gains) + 1) / (len(population.trials) + 4)
    scale = abs(population.baseline_score or 1.0) * 0.002  # a typical gain where none has been seen
    return rate, (sum(gains) + scale) / (len(gains) + 1)


def _judge(population: Population, trial: Trial) -> Judged:
    verdict, reason = _verdict(population, trial)
    return Judged(trial.number, verdict, reason)


def _verdict(population: Population, trial: Trial) -> tuple[Verdict, str]:
    if trial.score is None:
        return "discard", _told(trial)
    if trial.candidate.operator == "baseline":
        return "advance", "where every lineage starts"
    tip = population.lineages[trial.candidate.lineage].tip
    if trial.gain is None:
        return "discard", "its tip has no score to compare with"
    if trial.gain > 0:
        return "advance", "better than its tip"
    if trial.gain == 0 and trial.candidate.complexity < population.complexity(tip):
        return "advance", "as good as its tip, and simpler"
    return "discard", "no better than its tip"


def _why(population: Population, rules: Rules, lineage: Lineage) -> str:
    if population.baseline_score is None:
        return "the baseline comes first"
    match rules.policy:
        case "promise":
            return f"{lineage.name} has the best sampled forecast of the lineages that are ready"
        case "greedy":
            return f"{lineage.name} has the best tip"
        case "round-robin" | "best-of-n":
            return f"it is {lineage.name}'s turn"
        case _:
            assert_never(rules.policy)


def _told(trial: Trial) -> str:
    """How a trial that has no score ended."""
    assert trial.outcome is not None
    return f"{status(trial.outcome).replace('_', ' ')}: {cause(trial.outcome)}"


def _busy(population: Population, lineage: Lineage) -> bool:
    """Whether the lineage's own trial is under way or not judged yet; its next idea depends on it."""
    waiting = [*population.unjudged] + ([population.running] if population.running else [])
    return any(population.trials[n].candidate.lineage == lineage.name for n in waiting)


def _tip_score(population: Population, lineage: Lineage) -> float:
    score = population.score(lineage.tip)
    return float("inf") if score is None else score
