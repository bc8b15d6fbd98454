"""What the evidence says of a trial: advance, confirm or discard, and why.

`promise` weighs evidence: a change advances if it is probably a gain after shrinkage, and waits for
confirmation if it may be one. The control arms compare single scores, as the original loop does. Lower
scores are better.
"""

from typing import Final

from population.evidence import weigh
from population.records import Verdict
from population.state import Population, Trial
from trainer.outcome import cause, status

KEEP: Final = 0.65  # probability of being a gain at which a change advances
TIE: Final = 0.5  # probability of being no loss at which a simpler genome does


def verdict(population: Population, trial: Trial, raw: bool) -> tuple[Verdict, str]:
    """The verdict on a finished trial, by its single score if `raw`, and the reason in words."""
    if trial.score is None:
        return "discard", told(trial)
    if trial.candidate.commit in population.bases:
        return "confirm", "measured again"
    if trial.candidate.operator == "baseline":
        return "advance", "where every lineage starts"
    return _by_score(population, trial) if raw else _by_evidence(population, trial)


def told(trial: Trial) -> str:
    """How a trial that has no score ended."""
    assert trial.outcome is not None
    return f"{status(trial.outcome).replace('_', ' ')}: {cause(trial.outcome)}"


def _by_score(population: Population, trial: Trial) -> tuple[Verdict, str]:
    if trial.gain is None:
        return "discard", "its base has no score to compare with"
    if trial.gain > 0:
        return "advance", "better than its tip"
    if trial.gain == 0 and _simpler(population, trial):
        return "advance", "as good as its tip, and simpler"
    return "discard", "no better than its tip"


def _by_evidence(population: Population, trial: Trial) -> tuple[Verdict, str]:
    evidence = weigh(population)
    effect = evidence.effects.get(trial.candidate.number)
    if effect is None:
        return "discard", "its base is too long past to compare with"
    odds = f"{effect.p_better:.0%} likely better than its base"
    if effect.p_better > KEEP and effect.mean < 0:
        return "advance", f"{odds}, by {-effect.mean * evidence.sigma:.2g} after shrinkage"
    if effect.p_better > TIE and _simpler(population, trial):
        return "advance", f"{odds}, and simpler"
    if effect.mean < 0:
        return "confirm", f"{odds}: not enough to build on by itself"
    return "discard", f"{odds}"


def _simpler(population: Population, trial: Trial) -> bool:
    base = trial.candidate.base
    return base in population.commits and trial.candidate.complexity < population.complexity(base)
