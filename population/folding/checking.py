"""What may follow what: an entry that the journal so far rules out is somebody's mistake."""

from math import isfinite
from typing import assert_never

from population.folding.population import Population
from population.records import (
    Adopted,
    Assigned,
    Clashed,
    Combined,
    Completed,
    Declined,
    Ended,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Pruned,
    Resumed,
    Started,
)


def check(population: Population, event: Event) -> None:
    """Raises AssertionError, saying what is wrong, if `event` cannot follow what came before."""
    assert isinstance(event, Started) == (population.started is None), "a journal starts once, with Started"
    match event:
        case Founded(lineage):
            assert lineage not in population.lineages, f"lineage {lineage} was founded before"
        case Proposed(candidate):
            combining = population.combining
            assert candidate.lineage in population.lineages, f"no lineage {candidate.lineage}"
            assert candidate.number == len(population.candidates) + 1, "candidates are counted without a gap"
            asked = combining.candidates if combining else ()
            assert set(candidate.combines) <= set(asked), "it was not asked for"
            assert bool(candidate.combines) == bool(asked), "what was asked for comes first"
            assert candidate.about is None or candidate.about in population.candidates, "it is about nothing"
        case Declined(lineage):
            assert lineage in population.lineages, f"no lineage {lineage}"
        case Combined(lineage, _, candidates):
            assert population.combining is None, "one combination at a time"
            assert lineage in population.lineages, f"no lineage {lineage}"
            assert len(set(candidates)) == len(candidates) > 0, "different candidates are combined"
            ready = population.lineages[lineage].ready
            allowed = (number in population.tried or number in ready for number in candidates)
            assert all(allowed), "only its own or what was tried"
        case Clashed(_, candidates):
            combining = population.combining
            assert combining is not None and combining.candidates == candidates, "it was not asked for"
        case Adopted(lineage, commit):
            assert lineage in population.lineages, f"no lineage {lineage}"
            assert commit in population.scores, "only what was measured can be built on"
        case Pruned(lineage):
            living = {line.name for line in population.living}
            assert lineage in living, f"no living lineage {lineage}"
            assert len(living) > 1, "somebody has to go on"
        case Assigned(trial, number):
            assert trial == len(population.trials) + 1, "trials are counted without a gap"
            waits = any(number in line.ready for line in population.living)
            assert waits or number in population.tried, f"candidate {number} neither waits nor was tried"
        case Finished(trial, outcome):
            assert trial in population.running, "only a running trial can finish"
            assert not isinstance(outcome, Completed) or isfinite(outcome.score), "a score is a finite number"
        case Lost(trial):
            assert trial in population.running, "only a running trial can be lost"
        case Judged(trial, verdict):
            assert trial in population.unjudged, f"trial {trial} is not waiting for a verdict"
            scored = population.trials[trial].score is not None
            assert scored or verdict == "discard", "only a trial with a score can advance"
        case Started() | Resumed() | Ended():
            pass
        case _:
            assert_never(event)
