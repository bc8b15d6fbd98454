"""What the evidence says of a trial: advance, confirm or discard, and why.

`promise` weighs evidence: a change advances if it is probably a gain after shrinkage, and waits for
confirmation if it may be one. The control arms compare single scores, as the original loop does. Lower
scores are better.
"""

from typing import Final

from population.evidence import weigh
from population.records import Candidate, Verdict
from population.state import Population, Trial
from trainer.outcome import cause, status

# Probability of being better, where to do nothing counts half: a change advances above KEEP, and above TIE if
# it makes the genome simpler.
KEEP: Final = 0.65
TIE: Final = 0.5


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
    tip = population.lineages[trial.candidate.lineage].tip
    own, other = population.score(trial.candidate.commit), population.score(tip)
    if own is None or other is None:
        return "discard", "its tip has no score to compare with"
    if own < other:
        return "advance", "better than its tip"
    if own == other and _simpler(population, trial.candidate, tip):
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
    if effect.p_better > TIE and _simpler(population, trial.candidate, trial.candidate.base):
        return "advance", f"{odds}, and simpler"
    if effect.mean < 0:
        return "confirm", f"{odds}: not enough to build on by itself"
    return "discard", f"{odds}"


def _simpler(population: Population, candidate: Candidate, other: str) -> bool:
    """Whether a candidate's genome is shorter than that of the commit `other`."""
    return other in population.commits and candidate.complexity < population.complexity(other)
