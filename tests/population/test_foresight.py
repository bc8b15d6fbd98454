"""What may come next is told before it is decided, and telling it changes nothing."""

from copy import deepcopy

from hypothesis import assume, given
from hypothesis import strategies as st

from population.combining import combined
from population.evidence import weigh
from population.foresight import foreseen
from population.genomes import Genomes, Shelf
from population.policy import decide
from population.records import Assigned, Completed, Ended, Entry, Event, Finished, Usage
from population.rules import POLICIES, Facts, PolicyName, Rules
from population.state import Population, apply, aside, replay
from tests.population.histories import histories


class Named(Shelf):
    """Every commit has a genome, which says nothing but its name."""

    def text(self, commit: str) -> str:
        return self._texts.get(commit, f"COMMIT = {commit!r}\n")


@given(histories(), st.sampled_from(POLICIES))
def test_what_is_foreseen_changes_nothing(entries: list[Entry], policy: PolicyName) -> None:
    population, genomes = replay(entries), Named()
    before = deepcopy(population)
    foreseen(population, Rules(policy), Facts(), genomes)
    assert population == before
    assert not genomes._texts


@given(histories(), st.data())
def test_a_copy_can_go_on_without_the_run(entries: list[Entry], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(entries)))
    population, before = replay(entries[:cut]), replay(entries[:cut])
    copy = aside(population)
    for entry in entries[cut:]:
        apply(copy, entry)
    assert population == before and copy == replay(entries)


@given(histories(), st.sampled_from(POLICIES), st.sampled_from([1.0, -3.0]))
def test_what_comes_next_was_foreseen_whether_a_trial_gains_or_not(
    entries: list[Entry], policy: PolicyName, sigmas: float
) -> None:
    population, rules, genomes = _training(entries), Rules(policy, speculates=True), Named()
    candidate = population.trials[population.running[0]].candidate
    base = population.score(candidate.base)
    assume(population.score(candidate.commit) is None and base is not None)
    assert base is not None
    told = foreseen(population, rules, Facts(), genomes)
    score = base + sigmas * weigh(population).sigma
    _tell(population, Finished(population.running[0], Completed(score, {}), Usage(population.at)))
    turn = _turn(population, rules, genomes)
    assert turn is None or (turn.trial, turn.candidate, turn.seed) in [
        (one.assigned.trial, one.assigned.candidate, one.assigned.seed) for one in told
    ]


def _training(entries: list[Entry]) -> Population:
    """At the last moment at which a trial was under way and nothing else was to be done."""
    population = Population()
    trains = 0
    for entry in entries:
        apply(population, entry)
        if population.running and not population.unjudged and population.combining is None:
            trains = entry.number
    assume(trains)
    return replay(entries[:trains])


def _turn(population: Population, rules: Rules, genomes: Genomes) -> Assigned | None:
    """The next trial that is decided on, if no mind says anything."""
    while not isinstance(decision := decide(population, rules, Facts()), Assigned | Ended | None):
        _tell(population, decision)
        if population.combining is not None:
            _tell(population, combined(population, population.combining, genomes, population.at))
    return decision if isinstance(decision, Assigned) else None


def _tell(population: Population, event: Event) -> None:
    apply(population, Entry(population.entries + 1, population.at, event))
