"""The population is the fold of the journal, and refuses what cannot have happened."""

import math
from copy import deepcopy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.records import (
    Assigned,
    Completed,
    Crashed,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Outcome,
    Proposed,
    Resumed,
    Usage,
)
from population.state import Population, apply, replay
from tests.population.histories import HEAD, candidate, histories, started

BASE, BETTER = f"{1:040x}", f"{2:040x}"


def fold(*events: Event) -> Population:
    return replay(Entry(number, float(number), event) for number, event in enumerate(events, start=1))


def opened(*events: Event) -> Population:
    """A run with one lineage whose baseline is candidate 1."""
    birth = Founded("l1", "brief", "scripted", BASE, "asked for")
    return fold(started(), birth, Proposed(candidate(1, "l1", (HEAD,), "baseline")), *events)


def trial(number: int, outcome: Outcome, verdict: str) -> list[Event]:
    """All of a trial of the candidate with the same number."""
    end = Finished(number, outcome, Usage(1.0))
    return [Assigned(number, number, 0, ""), end, Judged(number, verdict, "")]  # type: ignore[arg-type]


SECOND = Proposed(candidate(2, "l1", (BASE,)))


@given(histories(), st.data())
def test_a_prefix_and_then_the_rest_is_the_whole(entries: list[Entry], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(entries)))
    population = replay(entries[:cut])
    for entry in entries[cut:]:
        apply(population, entry)
    assert population == replay(entries)


@given(histories())
def test_a_population_does_not_depend_on_whether_it_went_through_a_file(entries: list[Entry]) -> None:
    line = msgspec.json.encode(entries)
    assert replay(msgspec.json.decode(line, type=list[Entry])) == replay(entries)


@given(histories())
def test_every_candidate_waits_runs_or_has_run(entries: list[Entry]) -> None:
    population = replay(entries)
    ready = [number for lineage in population.lineages.values() for number in lineage.ready]
    tried = [t.candidate.number for t in population.trials.values() if t.lost is None]
    assert sorted(ready + tried) == sorted(population.candidates)


@given(histories())
def test_a_tip_is_the_root_or_was_advanced_to_with_a_score(entries: list[Entry]) -> None:
    population = replay(entries)
    advanced = {t.candidate.commit for t in population.trials.values() if t.verdict == "advance"}
    for lineage in population.lineages.values():
        assert lineage.tip == lineage.root or (lineage.tip in advanced and lineage.tip in population.scores)


@given(histories())
def test_no_tip_scores_lower_than_the_best(entries: list[Entry]) -> None:
    population = replay(entries)
    scores = [s for line in population.lineages.values() if (s := population.score(line.tip)) is not None]
    best = population.best
    assert (best is None) == (not scores)
    assert best is None or population.score(best.candidate.commit) == min(scores)


@given(histories())
def test_every_finished_trial_is_judged_or_waits_for_it(entries: list[Entry]) -> None:
    population = replay(entries)
    finished = {number for number, t in population.trials.items() if t.outcome is not None}
    judged = {number for number, t in population.trials.items() if t.verdict is not None}
    assert finished == judged | set(population.unjudged)
    assert not judged & set(population.unjudged)
    assert population.finished == len(finished)


@given(histories(), st.integers(1, 100))
def test_an_entry_out_of_order_changes_nothing(entries: list[Entry], jump: int) -> None:
    population = replay(entries)
    before = deepcopy(population)
    for number in (len(entries) + 1 + jump, len(entries) + 1 - jump):
        with pytest.raises(AssertionError, match="out of order"):
            apply(population, Entry(number, 0.0, Resumed()))
    assert population == before


@pytest.mark.parametrize(
    "impossible",
    [
        started(),
        Founded("l1", "brief", "scripted", BASE, "twice"),
        Proposed(candidate(2, "l9", (BASE,))),
        Proposed(candidate(1, "l1", (BASE,))),
        Assigned(1, 2, 0, "no such candidate"),
        Assigned(2, 1, 0, "a gap"),
        Finished(1, Completed(0.9), Usage(1.0)),
        Lost(1, "never began"),
        Judged(1, "discard", "never ran"),
    ],
)
def test_what_cannot_follow_is_refused_and_changes_nothing(impossible: Event) -> None:
    population = opened()
    before = deepcopy(population)
    with pytest.raises(AssertionError):
        apply(population, Entry(population.entries + 1, 9.0, impossible))
    assert population == before


def test_a_journal_that_does_not_begin_with_started_is_refused() -> None:
    with pytest.raises(AssertionError, match="starts once"):
        fold(Resumed())


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(score: float) -> None:
    with pytest.raises(AssertionError, match="finite"):
        opened(*trial(1, Completed(score), "discard"))


def test_a_crash_never_advances_a_lineage() -> None:
    with pytest.raises(AssertionError, match="only a trial with a score"):
        opened(*trial(1, Crashed("out of memory"), "advance"))


def test_a_verdict_is_given_once() -> None:
    with pytest.raises(AssertionError, match="not waiting"):
        opened(*trial(1, Completed(0.9), "advance"), Judged(1, "discard", "again"))


def test_a_gain_is_how_far_below_the_tip_a_trial_came() -> None:
    population = opened(*trial(1, Completed(1.0), "advance"), SECOND, *trial(2, Completed(0.75), "advance"))
    assert [t.gain for t in population.trials.values()] == [None, 0.25]
    assert population.lineages["l1"].tip == BETTER


def test_a_lost_trial_leaves_its_candidate_first_in_line() -> None:
    population = opened(SECOND, Assigned(1, 1, 0, ""), Lost(1, "power"))
    assert population.lineages["l1"].ready == [1, 2]
    assert population.finished == 0 and population.running is None
    assert population.trials[1].lost == "power"


def test_the_best_is_the_better_mean_not_the_luckier_number() -> None:
    other = Founded("l2", "brief", "scripted", BASE, "asked for")
    again = replace_candidate(3, commit=BASE)
    events = [*trial(1, Completed(1.0), "advance"), other, Proposed(candidate(2, "l2", (BASE,)))]
    events += [*trial(2, Completed(0.875), "advance"), Proposed(again), *trial(3, Completed(0.5), "discard")]
    population = opened(*events)
    assert population.score(BASE) == 0.75
    assert population.best is not None and population.best.candidate.commit == BASE


def test_the_path_to_the_best_begins_at_the_baseline() -> None:
    population = opened(*trial(1, Completed(1.0), "advance"), SECOND, *trial(2, Completed(0.9), "advance"))
    assert [step.number for step in population.path(BETTER)] == [1, 2]


def test_a_baseline_that_is_the_users_own_commit_ends_its_path() -> None:
    own = replace_candidate(1, parents=(BASE,))
    birth = Founded("l1", "brief", "scripted", BASE, "asked for")
    population = fold(started(), birth, Proposed(own), *trial(1, Completed(1.0), "advance"))
    assert [step.number for step in population.path(BASE)] == [1]


def replace_candidate(number: int, **changes: object):  # type: ignore[no-untyped-def]
    return msgspec.structs.replace(candidate(number, "l1", (BASE,), "baseline"), **changes)
