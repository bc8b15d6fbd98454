"""What is known of changes, as people are told it: posteriors where there are any.

A change that was built on is known by the commits on either side of it, and so by all that was tried from
them; what was expected of it when it was judged may have been more or less. Lower scores are better.
"""

import math

from msgspec import Struct

from population.evidence import better, weigh
from population.records import Candidate
from population.state import Population


class Expected(Struct, frozen=True):
    """What a change is expected to do to the score of its base; negative is better."""

    change: float
    sd: float
    p_better: float


def expected(population: Population, candidate: Candidate) -> Expected | None:
    """None for the baseline, and for what was not compared: it has no score, or its base is long past."""
    evidence = weigh(population)
    own, base = evidence.estimates.get(candidate.commit), evidence.estimates.get(candidate.base)
    if own is not None and base is not None:
        return Expected(own.mean - base.mean, math.hypot(own.sd, base.sd), better(own, base))
    effect = evidence.effects.get(candidate.number)
    if effect is None:
        return None
    return Expected(effect.mean * evidence.sigma, effect.sd * evidence.sigma, effect.p_better)
