"""The population is the fold of the journal, and refuses what cannot have happened."""

import math
from copy import deepcopy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.records import (
    Adopted,
    Assigned,
    Clashed,
    Combined,
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
    Pruned,
    Resumed,
    Usage,
)
from population.state import Population, apply, replay
from tests.population.histories import BASE, HEAD, candidate, histories, started

BETTER = f"{2:040x}"


def fold(*events: Event) -> Population:
    return replay(Entry(number, float(number), event) for number, event in enumerate(events, start=1))


def opened(*events: Event) -> Population:
    """A run with one lineage whose baseline is candidate 1."""
    birth = Founded("l1", "brief", "scripted", BASE, "asked for")
    return fold(started(), birth, Proposed(candidate(1, "l1", (HEAD,), "baseline")), *events)


def trial(number: int, outcome: Outcome, verdict: str, of: int | None = None) -> list[Event]:
    """All of a trial, of the candidate with the same number if nothing else is said."""
    end = Finished(number, outcome, Usage(1.0))
    return [Assigned(number, of or number, number, ""), end, Judged(number, verdict, "")]  # type: ignore[arg-type]


SECOND = Proposed(candidate(2, "l1", (BASE,)))
OTHER = Founded("l2", "brief", "scripted", BASE, "asked for")
SCORED = trial(1, Completed(1.0), "advance")


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
def test_every_candidate_waits_was_tried_or_was_dropped(entries: list[Entry]) -> None:
    population = replay(entries)
    waiting = [number for lineage in population.lineages.values() for number in lineage.ready]
    gone = [e.event.candidates for e in entries if isinstance(e.event, Clashed)]
    gone += [e.event.candidate.combines for e in entries if isinstance(e.event, Proposed)]
    gone += population.replaced.values()
    dropped = {number for numbers in gone for number in numbers} - population.tried.keys()
    assert sorted([*waiting, *population.tried, *dropped]) == sorted(population.candidates)


@given(histories())
def test_a_candidates_first_trial_is_the_one_that_is_no_repeat(entries: list[Entry]) -> None:
    population = replay(entries)
    first = {t.candidate.number: t.number for t in population.trials.values() if not (t.again or t.lost)}
    assert population.tried == first
    for trial in population.trials.values():
        assert not trial.again or population.tried[trial.candidate.number] < trial.number


@given(histories())
def test_a_tip_is_the_baseline_or_was_measured_and_is_a_base(entries: list[Entry]) -> None:
    population = replay(entries)
    for lineage in population.lineages.values():
        assert lineage.tip == BASE or (lineage.tip in population.bases and lineage.tip in population.scores)
        assert lineage.root == BASE or lineage.root in population.bases


@given(histories())
def test_scores_of_a_commit_are_those_of_its_trials_in_the_order_of_their_ends(entries: list[Entry]) -> None:
    population = replay(entries)
    ended = [population.trials[entry.event.trial] for entry in entries if isinstance(entry.event, Finished)]
    trials = [trial for trial in ended if trial.score is not None]
    assert population.scores.keys() == {trial.candidate.commit for trial in trials}
    for commit, scores in population.scores.items():
        assert scores == [trial.score for trial in trials if trial.candidate.commit == commit]


@given(histories())
def test_children_are_what_was_tried_from_a_base(entries: list[Entry]) -> None:
    population = replay(entries)
    tried = {(c.base, c.commit) for c in (population.candidates[number] for number in population.tried)}
    assert {(base, c) for base, commits in population.children.items() for c in commits} == tried


@given(histories())
def test_every_path_begins_with_the_baseline_and_goes_from_base_to_base(entries: list[Entry]) -> None:
    population = replay(entries)
    for commit in population.bases:
        path = [trial.candidate for trial in population.path(commit)]
        assert (path[0].commit, path[0].operator, path[-1].commit) == (BASE, "baseline", commit)
        assert [c.base for c in path[1:]] == [c.commit for c in path[:-1]]


@given(histories())
def test_the_living_are_those_who_were_founded_and_not_pruned(entries: list[Entry]) -> None:
    founded = [e.event.lineage for e in entries if isinstance(e.event, Founded)]
    pruned = {e.event.lineage for e in entries if isinstance(e.event, Pruned)}
    assert [line.name for line in replay(entries).living] == [name for name in founded if name not in pruned]


@given(histories())
def test_a_session_is_counted_for_every_scheduler(entries: list[Entry]) -> None:
    population = replay(entries)
    resumed = [isinstance(entry.event, Resumed) for entry in entries]
    assert population.session == sum(resumed)
    begun = [index for index, entry in enumerate(entries) if isinstance(entry.event, Assigned)]
    assert [trial.session for trial in population.trials.values()] == [sum(resumed[:n]) for n in begun]


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
        Combined("l1", BASE, (2,), "merge", "no such candidate"),
        Combined("l1", BASE, (1, 1), "merge", "the same twice"),
        Combined("l1", BASE, (), "merge", "nothing"),
        Combined("l9", BASE, (1,), "merge", "no such lineage"),
        Clashed("l1", (1,), "nobody asked"),
        Proposed(candidate(2, "l1", (BASE,), "merge", combines=(1,))),
        Adopted("l1", BASE, "not measured yet"),
        Pruned("l2", "no such lineage"),
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
    assert population.finished == 0 and not population.running
    assert population.trials[1].lost == "power"
    assert not population.tried and not population.children.get(HEAD)


@pytest.mark.parametrize("verdict", ["confirm", "discard"])
def test_a_repeat_adds_evidence_and_moves_nothing(verdict: str) -> None:
    once = opened(*SCORED, SECOND, *trial(2, Completed(0.75), "advance"))
    twice = opened(
        *SCORED, SECOND, *trial(2, Completed(0.75), "advance"), *trial(3, Completed(1.0), verdict, of=1)
    )
    assert twice.scores[BASE] == [1.0, 1.0] and twice.trials[3].again
    assert twice.trials[3].operator == "replicate"
    for kept in ("tried", "children", "bases", "commits", "advanced", "baseline"):
        assert getattr(twice, kept) == getattr(once, kept)
    assert (twice.lineages["l1"].tip, twice.lineages["l1"].ready) == (BETTER, [])


def test_a_base_that_is_measured_again_and_advances_once_more_moves_nothing() -> None:
    events = [
        *SCORED,
        SECOND,
        *trial(2, Completed(0.75), "advance"),
        *trial(3, Completed(0.5), "advance", of=1),
    ]
    population = opened(*events)
    assert population.lineages["l1"].tip == BETTER
    assert [(step.number, step.gain) for step in population.path(BETTER)] == [(1, None), (2, 0.25)]


def test_a_lost_repeat_does_not_wait_again() -> None:
    population = opened(*SCORED, Assigned(2, 1, 2, "once more"), Lost(2, "power"))
    assert population.lineages["l1"].ready == [] and population.lineages["l1"].trials == [1]
    assert population.tried == {1: 1} and population.children == {HEAD: [BASE]}


def test_a_change_that_was_to_be_confirmed_advances_when_it_is() -> None:
    confirm = [*SCORED, SECOND, *trial(2, Completed(0.75), "confirm")]
    assert opened(*confirm).lineages["l1"].tip == BASE
    population = opened(*confirm, *trial(3, Completed(0.25), "advance", of=2))
    assert population.lineages["l1"].tip == BETTER
    assert population.trials[3].gain == 0.5  # the mean of both, not the luckier one


def test_what_was_asked_for_comes_first() -> None:
    asked = opened(*SCORED, SECOND, Combined("l1", BASE, (2,), "mutate", "its tip has moved"))
    for other in (candidate(3, "l1", (BASE,)), candidate(3, "l1", (BASE,), combines=(1,))):
        with pytest.raises(AssertionError, match="asked for"):
            apply(asked, Entry(asked.entries + 1, 9.0, Proposed(other)))
    with pytest.raises(AssertionError, match="one combination"):
        apply(asked, Entry(asked.entries + 1, 9.0, Combined("l1", BASE, (1,), "merge", "another")))


def test_a_rebased_candidate_takes_the_place_of_the_old_one() -> None:
    asked = Combined("l1", BASE, (2,), "mutate", "its tip has moved")
    rebased = Proposed(candidate(3, "l1", (BASE,), combines=(2,)))
    population = opened(*SCORED, SECOND, asked, rebased)
    assert population.lineages["l1"].ready == [3]
    assert population.combining is None and ("mutate", frozenset({2})) in population.combined


def test_a_clash_drops_the_candidate_that_waited() -> None:
    asked = Combined("l1", BASE, (2,), "mutate", "its tip has moved")
    population = opened(*SCORED, SECOND, asked, Clashed("l1", (2,), "the same things"))
    assert population.lineages["l1"].ready == []
    assert population.combining is None and ("mutate", frozenset({2})) in population.combined


def test_an_idea_made_before_the_tip_moved_gives_way_to_one_made_after() -> None:
    moved = [*SCORED, OTHER, SECOND, *trial(2, Completed(0.75), "advance")]
    outdated = Proposed(candidate(3, "l2", (BASE,)))
    population = opened(*moved, outdated, Adopted("l2", BETTER, "a win"))
    assert population.lineages["l2"].ready == [3]
    apply(population, Entry(population.entries + 1, 9.0, Proposed(candidate(4, "l2", (BETTER,)))))
    assert population.lineages["l2"].ready == [4] and population.replaced == {4: (3,)}


def test_an_idea_that_comes_late_does_not_replace_one_for_where_the_lineage_stands() -> None:
    moved = [*SCORED, OTHER, SECOND, *trial(2, Completed(0.75), "advance"), Adopted("l2", BETTER, "a win")]
    population = opened(
        *moved, Proposed(candidate(3, "l2", (BETTER,))), Proposed(candidate(4, "l2", (BASE,)))
    )
    assert population.lineages["l2"].ready == [3, 4] and not population.replaced


def test_a_combination_that_waits_does_not_give_way_to_an_idea() -> None:
    near = [*SCORED, SECOND, *trial(2, Completed(1.0), "discard")]
    asked = Combined("l1", BASE, (2,), "venture", "near misses")
    made = Proposed(candidate(3, "l1", (BASE,), "venture", combines=(2,)))
    aside = Adopted("l1", BETTER, "to look around")
    population = opened(*near, asked, made, aside, Proposed(candidate(4, "l1", (BETTER,))))
    assert population.lineages["l1"].ready == [3, 4] and not population.replaced


def test_what_fits_of_a_combination_is_remembered_like_all_of_it() -> None:
    more = [SECOND, Proposed(candidate(3, "l1", (BASE,)))]
    tried = [*trial(2, Completed(1.0), "confirm"), *trial(3, Completed(1.0), "confirm")]
    asked = Combined("l1", BASE, (1, 2, 3), "merge", "a crossing")
    fits = Proposed(candidate(4, "l1", (BASE, BETTER), "merge", base=BASE, combines=(2, 3)))
    population = opened(*SCORED, *more, *tried, asked, fits)
    assert population.combined == {("merge", frozenset({2, 3})), ("merge", frozenset({1, 2, 3}))}


def test_an_adopted_commit_is_a_tip_and_a_base_and_no_advance() -> None:
    near = [*SCORED, OTHER, SECOND, *trial(2, Completed(1.0), "discard")]
    population = opened(*near, Adopted("l2", BETTER, "to look around"))
    assert (population.lineages["l1"].tip, population.lineages["l2"].tip) == (BASE, BETTER)
    assert population.bases == {BASE: 1, BETTER: 2} and population.advanced == {BASE}
    assert [step.number for step in population.path(BETTER)] == [1, 2]


def test_a_pruned_lineage_lives_on_in_its_trials_only() -> None:
    population = opened(*SCORED, OTHER, SECOND, *trial(2, Completed(0.5), "advance"), Pruned("l1", "done"))
    assert [line.name for line in population.living] == ["l2"]
    assert population.lineages["l1"].pruned == "done"
    assert population.score(BETTER) == 0.5
    with pytest.raises(AssertionError, match="no living lineage"):
        apply(population, Entry(population.entries + 1, 9.0, Pruned("l1", "twice")))


def test_what_a_pruned_lineage_had_waiting_cannot_be_assigned() -> None:
    population = opened(*SCORED, OTHER, SECOND, Pruned("l1", "fell behind"))
    with pytest.raises(AssertionError, match="neither waits nor was tried"):
        apply(population, Entry(population.entries + 1, 9.0, Assigned(2, 2, 1, "its turn")))


def test_a_pruned_lineage_never_moves_again() -> None:
    ended = [*SCORED, OTHER, SECOND, *trial(2, Completed(0.75), "confirm"), Pruned("l1", "fell behind")]
    population = opened(*ended, *trial(3, Completed(0.25), "advance", of=2))
    assert population.lineages["l1"].tip == BASE
    assert BETTER in population.bases  # the others may build on it


def test_the_last_living_lineage_cannot_be_pruned() -> None:
    with pytest.raises(AssertionError):
        opened(*SCORED, Pruned("l1", "fell behind"))


def test_a_score_of_a_commit_is_the_mean_not_the_luckier_number() -> None:
    population = opened(*SCORED, *trial(2, Completed(0.5), "confirm", of=1))
    assert population.score(BASE) == population.baseline_score == 0.75


def test_the_path_to_the_best_begins_at_the_baseline() -> None:
    population = opened(*SCORED, SECOND, *trial(2, Completed(0.9), "advance"))
    assert [step.number for step in population.path(BETTER)] == [1, 2]


def test_a_path_is_of_first_trials() -> None:
    again = trial(2, Completed(1.0), "confirm", of=1)
    population = opened(*SCORED, *again, SECOND, *trial(3, Completed(0.9), "advance", of=2))
    assert [step.number for step in population.path(BETTER)] == [1, 3]


def test_a_baseline_that_failed_and_was_proposed_again_begins_the_path() -> None:
    again = msgspec.structs.replace(candidate(2, "l1", (HEAD,), "baseline"), commit=BASE)
    population = opened(*trial(1, Crashed("OSError: /dev/nvidia0"), "discard"), Proposed(again))
    for event in trial(2, Completed(1.0), "advance"):
        apply(population, Entry(population.entries + 1, 9.0, event))
    assert [step.number for step in population.path(BASE)] == [2]
