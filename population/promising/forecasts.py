"""What the next trial of a lineage is likely to gain, from the record of its last ones.

A trial counts by how likely it was a gain and by how much, not by whether it happened to advance. Rate of
success ~ Beta, mean gain of a success ~ inverse Gamma (conjugate to exponential gains); a sample of both
is what Thompson sampling (Thompson 1933) gives the GPU by. Gains are in sigmas, positive is better.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

from msgspec import Struct

from population.evidence import Evidence, weigh
from population.state import Lineage, Population, Trial

_FADE: Final = 0.95  # how much less a trial weighs than its lineage's next one
_PRIOR: Final = 2.0  # trials that the record of all lineages counts for in each one's
_FORGOTTEN: Final = 0.01  # weight at which the past is left alone
_USUAL: Final = 2.5  # gain of a success where nothing is known


class Record(Struct, frozen=True):
    """What some trials came to, each with its weight."""

    wins: float
    failures: float
    gained: float


class Forecast(Struct, frozen=True):
    """Gain of the next trial: a sample of what is believed, and what is expected."""

    sampled: float
    expected: float
    trials: float  # that it rests on


def forecasts(population: Population, rng: Random) -> dict[str, Forecast]:
    """Forecasts of the living lineages, by name, each shrunk toward what all of them do."""
    records = {line.name: record(population, line) for line in population.living}
    wins = sum(found.wins for found in records.values())
    trials = wins + sum(found.failures for found in records.values())
    gained = sum(found.gained for found in records.values())
    rate, gain = (wins + 1) / (trials + 4), (gained + _USUAL) / (wins + 1)
    return {name: forecast(found, rate, gain, _PRIOR, rng) for name, found in sorted(records.items())}


def record(population: Population, lineage: Lineage) -> Record:
    """What the ideas of the lineage's own mind came to, the latest weighing most."""
    trials = (population.trials[number] for number in reversed(lineage.trials))
    return weighed((t for t in trials if t.candidate.is_idea), weigh(population), _FADE)


def weighed(trials: Iterable[Trial], evidence: Evidence, fade: float) -> Record:
    """The record of some trials, newest first, each weighing `fade` times the one after it.

    One that is under way counts as what most of them come to, a failure.
    """
    weight, wins, failures, gained = 1.0, 0.0, 0.0, 0.0
    for trial in trials:
        if trial.again:
            continue
        effect = evidence.effects.get(trial.candidate.number)
        if effect is not None and effect.mean < 0:
            wins += weight * effect.p_better
            failures += weight * (1 - effect.p_better)
            gained += weight * effect.hope
        else:
            failures += weight
        weight *= fade
        if weight < _FORGOTTEN:
            break
    return Record(wins, failures, gained)


def forecast(record: Record, rate: float, gain: float, trials: float, rng: Random) -> Forecast:
    """The forecast of a record, with a prior of so many `trials` at this rate and gain of success."""
    wins, failures = record.wins + trials * rate, record.failures + trials * (1 - rate)
    gained = record.gained + 2 * gain
    drawn = rng.betavariate(wins, failures) * gained / rng.gammavariate(record.wins + 2, 1.0)
    expected = wins / (wins + failures) * gained / (record.wins + 2)
    return Forecast(drawn, expected, record.wins + record.failures)
