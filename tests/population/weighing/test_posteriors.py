"""What a long run remembers: the latest trials and all that was built on. What it forgets costs nothing."""

import pytest

from population.evidence import weigh
from population.records import Assigned, Completed, Entry, Event, Finished, Founded, Judged, Proposed, Usage
from population.state import Population, apply
from tests.population.histories import BASE, HEAD, candidate, started

LONG = 1100  # trials: more than are judged
BUILT_ON = 5  # a trial of long ago that advanced


@pytest.fixture(scope="module")
def population() -> Population:
    """One lineage that advanced once, early, and has found nothing since."""
    population = Population()

    def tell(event: Event) -> None:
        apply(population, Entry(population.entries + 1, 1e9, event))

    tell(started(policy="promise", profile="cpu"))
    tell(Founded("l1", "brief", "scripted", BASE, "asked for"))
    for number in range(1, LONG + 1):
        parents = (HEAD,) if number == 1 else (population.lineages["l1"].tip,)
        tell(Proposed(candidate(number, "l1", parents, "baseline" if number == 1 else "mutate")))
        tell(Assigned(number, number, 1, ""))
        score = 0.9 if number >= BUILT_ON else 1.0
        tell(Finished(number, Completed(score + number % 7 / 1000), Usage(1e9)))
        tell(Judged(number, "advance" if number in (1, BUILT_ON) else "discard", ""))
    return population


def test_the_latest_trial_is_judged_however_long_the_run(population: Population) -> None:
    assert LONG in weigh(population).effects


def test_trials_of_long_ago_are_forgotten(population: Population) -> None:
    effects = weigh(population).effects
    assert BUILT_ON + 1 not in effects
    assert len(effects) < LONG


def test_what_was_built_on_is_never_forgotten(population: Population) -> None:
    evidence = weigh(population)
    assert evidence.effects[BUILT_ON].p_better > 0.99
    assert evidence.estimates.keys() == population.bases.keys()
