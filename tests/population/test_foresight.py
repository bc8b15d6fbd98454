"""What may come next is told before it is decided, and telling it changes nothing."""

import math
from copy import deepcopy

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from population.deciding.rules import POLICIES, Facts, PolicyName, Rules
from population.evidence import weigh
from population.foresight import foreseen
from population.making.combining import combined
from population.policy import decide
from population.records import Assigned, Completed, Ended, Entry, Event, Finished, Usage
from population.repository.genomes import Genomes, Shelf
from population.state import Population, apply, aside, replay
from tests.population.histories import histories
from trainer.curve import PARTS
from trainer.task import Task
from trainer.trial import Order, Successor, coming

NONE = Order(0, "", 0, Task("", "", "score", 1.0, None, "", "cpu", ""), "", "")


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
    first = population.running[0]
    told = foreseen(population, rules, Facts(), genomes)
    score = base + sigmas * weigh(population).sigma
    _tell(population, Finished(first, Completed(score, {}), Usage(population.at)))
    turn = _turn(population, rules, genomes)
    assert turn is None or (turn.trial, turn.candidate, turn.seed) in [
        (one.assigned.trial, one.assigned.candidate, one.assigned.seed) for one in told[first]
    ]


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(histories(), st.sampled_from([1.0, -3.0]))
def test_where_losses_are_as_scores_the_loss_tells_what_comes_next(
    entries: list[Entry], sigmas: float
) -> None:
    population, rules, genomes = _training([*map(_told_by_loss, entries)]), Rules(speculates=True), Named()
    candidate = population.trials[population.running[0]].candidate
    base = population.score(candidate.base)
    assume(population.score(candidate.commit) is None and base is not None)
    assert base is not None
    told = foreseen(population, rules, Facts(), genomes)[population.running[0]]
    assume(len(told) > 1 and told[0].losses != (-math.inf, math.inf))
    score = base + sigmas * weigh(population).sigma
    likely = told[coming([Successor(NONE, one.losses) for one in told], score)]
    _tell(population, Finished(population.running[0], Completed(score, {}), Usage(population.at)))
    turn = _turn(population, rules, genomes)
    assert turn is None or turn.candidate == likely.assigned.candidate


def _told_by_loss(entry: Entry) -> Entry:
    """The same, but for a curve that says all along what the score will be."""
    event = entry.event
    if not isinstance(event, Finished) or not isinstance(event.outcome, Completed):
        return entry
    usage = replace(event.usage, curve=(event.outcome.score,) * PARTS)
    return replace(entry, event=replace(event, usage=usage))


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
