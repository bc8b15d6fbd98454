"""Decisions: who gets the GPU, what advances, when a run is over."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from population.deciding.asking import wanting
from population.deciding.assigning import parent
from population.policy import DRY, POLICIES, Facts, PolicyName, Rules, decide
from population.records import (
    Adopted,
    Assigned,
    Combined,
    Completed,
    Crashed,
    Declined,
    Ended,
    Entry,
    Finished,
    Judged,
    Outcome,
    Pruned,
    Usage,
)
from population.state import Population, apply
from tests.population.histories import histories
from tests.population.stories import ROOT, SIGMA, Story

PAIRS = (("brief", "scripted"), ("another", "scripted"))
RAW: tuple[PolicyName, ...] = ("greedy", "round-robin", "best-of-n")


def test_the_baseline_comes_first_and_nobody_is_asked_before_it_has_a_score() -> None:
    story = Story()
    assert story.wanting() == []
    story.trial(1.0)
    assert sorted(story.wanting()) == ["l1", "l2"]


@pytest.mark.parametrize("policy", RAW)
def test_a_better_score_advances_and_moves_the_tip_of_its_lineage_alone(policy: PolicyName) -> None:
    story = Story(rules=Rules(policy))
    story.trial(1.0)
    number = story.propose("l1")
    story.tell(Assigned(2, number, 1, "to tell them apart"))
    story.tell(Finished(2, Completed(1.0 - SIGMA / 100), Usage(1e9)))
    judged = story.decide()
    assert isinstance(judged, Judged) and judged.verdict == "advance"
    assert story.tip("l1") == story.population.candidates[2].commit
    assert story.settled() is None and story.tip("l2") == ROOT.commit


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("outcome", [1.1, Crashed("ValueError: no")])
def test_a_much_worse_score_or_none_is_discarded(outcome: Outcome | float, policy: PolicyName) -> None:
    story = Story(rules=Rules(policy))
    story.trial(1.0)
    story.propose("l2")
    assert story.trial(outcome).verdict == "discard"
    assert story.tip("l2") == ROOT.commit


@pytest.mark.parametrize("policy", RAW)
@pytest.mark.parametrize(("complexity", "verdict"), [(9, "advance"), (10, "discard"), (11, "discard")])
def test_a_tie_advances_only_if_the_genome_is_simpler(
    complexity: int, verdict: str, policy: PolicyName
) -> None:
    story = Story(lineages=1, rules=Rules(policy))
    story.trial(1.0)
    story.propose("l1", complexity=complexity)
    assert story.trial(1.0).verdict == verdict


def test_a_baseline_without_a_score_ends_the_run_and_says_why() -> None:
    story = Story()
    assert story.trial(Crashed("ModuleNotFoundError: torch")).verdict == "discard"
    ended = story.decide()
    assert isinstance(ended, Ended)
    assert "ModuleNotFoundError: torch" in ended.reason


def test_the_run_ends_after_its_trials() -> None:
    story = Story(rules=Rules(trials=2))
    story.trial(1.0)
    story.propose("l1")
    story.trial(0.9)
    story.propose("l2")
    assert isinstance(story.settled(), Ended)


def test_no_trial_begins_that_cannot_end_within_the_hours() -> None:
    story = Story(rules=Rules(hours=1))
    budget_s = story.population.run.budget_s
    assert isinstance(decide(story.population, story.rules, Facts(3600 - budget_s)), Assigned)
    assert isinstance(decide(story.population, story.rules, Facts(3601 - budget_s)), Ended)


def test_a_trial_is_expected_to_take_as_long_as_the_longest_of_late() -> None:
    story = Story(rules=Rules(hours=1))
    assigned = story.decide()
    assert isinstance(assigned, Assigned)
    story.tell(Finished(assigned.trial, Completed(1.0), Usage(1e9, wall_s=600.0)))
    story.decide()
    story.propose("l1")
    assert isinstance(decide(story.population, story.rules, Facts(3000)), Assigned)
    assert isinstance(decide(story.population, story.rules, Facts(3001)), Ended)


def test_a_dry_lineage_is_asked_again_when_something_was_learned() -> None:
    story = Story()
    story.trial(1.0)
    for _ in range(DRY):
        story.tell(Declined("l2", ROOT.commit, "nothing new"))
    assert story.wanting() == ["l1"]
    story.propose("l1")
    story.trial(0.9)
    assert sorted(story.wanting()) == ["l1", "l2"]


def test_a_run_told_to_stop_begins_nothing_but_judges_what_was_under_way() -> None:
    story = Story()
    assigned = story.decide()
    assert isinstance(assigned, Assigned)
    assert story.decide(stopping=True) is None
    story.tell(Finished(1, Completed(1.0), Usage(1e9)))
    assert isinstance(story.decide(stopping=True), Judged)
    assert isinstance(story.decide(stopping=True), Ended)


def test_a_run_whose_lineages_have_no_idea_left_ends() -> None:
    story = Story(lineages=1)
    story.trial(1.0)
    for _ in range(DRY):
        assert story.wanting() == ["l1"]
        story.tell(Declined("l1", ROOT.commit, "nothing new"))
    assert story.wanting() == []
    assert isinstance(story.decide(), Ended)


def test_round_robin_gives_everyone_the_same_number_of_trials() -> None:
    story = Story(lineages=3, rules=Rules("round-robin"))
    story.trial(1.0)
    for _ in range(7):
        for name in story.wanting():
            story.propose(name)
        story.trial(1.5)
    assert [len(line.trials) for line in story.population.lineages.values()] == [3, 3, 2]


def test_greedy_follows_the_best_tip() -> None:
    story = Story(rules=Rules("greedy"))
    story.trial(1.0)
    story.propose("l1"), story.propose("l2")
    story.tell(Assigned(2, 3, 1, "to tell them apart"))
    story.tell(Finished(2, Completed(0.5), Usage(1e9)))
    story.decide()
    for _ in range(3):
        story.propose("l2")
        assert story.trial(0.6).trial in story.population.lineages["l2"].trials


@pytest.mark.parametrize("policy", ["round-robin", "best-of-n", "greedy"])
def test_the_gpu_waits_a_moment_for_the_mind_whose_turn_it_is_and_no_longer(policy: PolicyName) -> None:
    story = Story(rules=Rules(policy))
    story.trial(1.0)
    turn, other = "l2", "l1"  # the baseline was l1's trial
    if policy == "greedy":
        story.propose("l1")
        story.trial(0.9)
        turn, other = "l1", "l2"
    story.propose(other)
    assert decide(story.population, story.rules, Facts(thinking={turn: 0.9})) is None
    assert isinstance(decide(story.population, story.rules, Facts(thinking={turn: 1.0})), Assigned)


def test_promise_waits_as_well_where_the_dice_prefer_the_one_who_thinks() -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l1")
    story.open()
    rules = [Rules(seed=seed) for seed in range(40)]
    soon = [decide(story.population, rule, Facts(thinking={"l2": 0.9})) for rule in rules]
    assert 5 < soon.count(None) < 35
    late = [decide(story.population, rule, Facts(thinking={"l2": 1.0})) for rule in rules]
    assert None not in late


def test_best_of_n_always_starts_from_the_baseline() -> None:
    story = Story(rules=Rules("best-of-n"))
    story.trial(1.0)
    story.propose("l1")
    story.trial(0.5)
    lineage = story.population.lineages["l1"]
    assert lineage.tip != ROOT.commit
    assert parent(story.population, lineage) == ROOT.commit


def test_promise_prefers_the_lineage_that_gains() -> None:
    story = Story()
    story.trial(1.0)
    best = 1.0
    for _ in range(40):
        for name in story.wanting():
            story.propose(name)
        turn = story.settled()
        assert isinstance(turn, Assigned)
        trial = story.population.trials[turn.trial]
        gains = trial.candidate.lineage == "l2" and trial.operator == "mutate"
        best -= 5 * SIGMA if gains else 0.0
        story.tell(Finished(turn.trial, Completed(best if gains else best + 5 * SIGMA), Usage(1e9)))
        story.decide()
    trials = {name: len(line.trials) for name, line in story.population.lineages.items()}
    assert trials["l2"] > 2 * trials["l1"]


def test_a_clear_win_advances_and_every_lineage_adopts_it_without_a_trial() -> None:
    story = Story(lineages=3)
    story.trial(1.0)
    number = story.propose("l1")
    assert story.trial(1.0 - 10 * SIGMA).verdict == "advance"
    won, trials = story.population.candidates[number].commit, len(story.population.trials)
    adopted = [story.decide(), story.decide()]
    assert [(a.lineage, a.commit) for a in adopted if isinstance(a, Adopted)] == [("l2", won), ("l3", won)]
    assert all(decision is not None and "idea 2" in decision.reason for decision in adopted)
    assert story.decide() is None and len(story.population.trials) == trials


def test_a_change_inside_the_noise_waits_to_be_confirmed_and_moves_nothing() -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l1")
    judged = story.trial(1.0 - 0.9 * SIGMA)
    assert judged.verdict == "confirm" and "likely better" in judged.reason
    assert story.tip("l1") == story.tip("l2") == ROOT.commit


def test_a_change_that_turns_out_better_when_measured_again_advances() -> None:
    story = Story()
    story.trial(1.0)
    number = story.propose("l1")
    assert story.trial(1.0 - 0.9 * SIGMA).verdict == "confirm"
    last = len(story.population.trials) + 1
    story.tell(Assigned(last, number, 2, "once more"))
    story.tell(Finished(last, Completed(1.0 - 6 * SIGMA), Usage(1e9)))
    judged = story.decide()
    assert isinstance(judged, Judged) and judged.verdict == "advance"
    assert story.tip("l1") == story.population.candidates[number].commit


def test_a_base_that_is_measured_again_stays_where_it_is() -> None:
    story = Story()
    story.trial(1.0)
    story.tell(Assigned(2, 1, 2, "once more"))
    story.tell(Finished(2, Completed(1.0), Usage(1e9)))
    judged = story.decide()
    assert isinstance(judged, Judged) and judged.verdict == "confirm"


def test_a_run_measures_its_baseline_again_at_first_and_its_best_at_last() -> None:
    story = Story(lineages=1, rules=Rules(trials=100, lineages=1))
    story.trial(1.0)
    best = story.propose("l1")
    story.trial(1.0 - 10 * SIGMA)
    for _ in range(94):
        story.propose("l1")
        story.trial(1.2)
    story.propose("l1")
    for _ in range(2):
        story.trial(1.0 - 10 * SIGMA)
    again = [trial for trial in story.population.trials.values() if trial.again]
    assert [trial.number for trial in again] == [2, 3, 99, 100]
    assert [(trial.candidate.number, trial.seed) for trial in again] == [(1, 2), (1, 3), (best, 2), (best, 3)]
    ended = story.settled()
    assert isinstance(ended, Ended) and "100 trials" in ended.reason


def test_a_run_whose_ideas_are_used_up_measures_its_best_again_before_it_ends() -> None:
    story = Story(lineages=1, rules=Rules(trials=100, lineages=1))
    story.trial(1.0)
    story.propose("l1")
    story.trial(1.0 - 10 * SIGMA)
    for _ in range(6):
        story.propose("l1")
        story.trial(1.2)
    for _ in range(DRY):
        story.tell(Declined("l1", story.tip("l1"), "nothing left"))
    story.trial(1.0 - 9 * SIGMA)
    assert story.population.trials[story.population.finished].again
    ended = story.settled()
    assert isinstance(ended, Ended) and "no lineage has an idea left" in ended.reason


def test_a_near_miss_that_crashes_when_measured_again_is_not_measured_for_ever() -> None:
    story = Story(lineages=1, rules=Rules(trials=100, lineages=1))
    story.trial(1.0)
    near = story.propose("l1")
    story.trial(1.0 - 0.9 * SIGMA)
    again = []
    for _ in range(60):
        story.propose("l1")
        turn = story.settled()
        assert isinstance(turn, Assigned)
        outcome = Crashed("once more") if turn.candidate == near else Completed(1.1)
        again += [turn.seed] if turn.candidate == near else []
        story.tell(Finished(turn.trial, outcome, Usage(1e9)))
        story.decide()
    assert len(again) <= 2 and len(set(again)) == len(again)


@pytest.mark.parametrize("policy", RAW)
def test_single_scores_have_no_finals(policy: PolicyName) -> None:
    story = Story(lineages=1, rules=Rules(policy, trials=10))
    story.trial(1.0)
    for n in range(9):
        story.propose("l1")
        story.trial(1.0 - n / 1000)
    assert not [trial for trial in story.population.trials.values() if trial.again]
    assert isinstance(story.settled(), Ended)


def test_a_candidate_is_asked_for_from_those_who_idle_fewest_trials_first() -> None:
    story = Story(lineages=3, rules=Rules("greedy"))
    story.trial(1.0)
    assert story.wanting() == ["l2", "l3", "l1"]
    story.propose("l2")
    assert story.wanting() == ["l3", "l1"]
    turn = story.settled()
    assert isinstance(turn, Assigned) and story.wanting() == ["l3", "l1"]  # l2 is busy


def test_a_pruned_lineage_is_neither_asked_nor_assigned() -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l1")
    story.tell(Pruned("l1", "fell behind"))
    assert story.wanting() == ["l2"]
    assert story.settled() is None
    second = story.propose("l2")
    turn = story.settled()
    assert isinstance(turn, Assigned) and turn.candidate == second


@given(histories(), st.sampled_from(POLICIES))
def test_only_the_living_without_an_idea_for_where_they_stand_are_asked(
    entries: list[Entry], policy: PolicyName
) -> None:
    population = _folded(entries)
    bases = {line.name: {population.candidates[n].base for n in line.ready} for line in population.living}
    idle = {line.name for line in population.living if line.tip not in bases[line.name]}
    assert set(wanting(population, Rules())) <= idle


@given(histories(), st.sampled_from(POLICIES))
def test_the_gpu_goes_to_what_waits_with_the_living_or_to_measure_again(
    entries: list[Entry], policy: PolicyName
) -> None:
    population = _folded(entries)
    turn = decide(population, Rules(policy, lineages=1), Facts())
    if isinstance(turn, Assigned):
        waiting = {number for line in population.living for number in line.ready}
        scored = population.candidates[turn.candidate].commit in population.scores
        assert turn.candidate in waiting or (policy == "promise" and scored)
    assert policy == "promise" or isinstance(turn, Judged | Assigned | Ended | None)


@given(histories())
def test_what_is_combined_is_other_than_where_it_goes(entries: list[Entry]) -> None:
    population = _folded(entries)
    asked = decide(population, Rules(lineages=1), Facts())
    if isinstance(asked, Combined) and asked.operator == "merge":
        line = [population.candidates[n] for n in _behind(population, asked.onto)]
        assert not {c.number for c in line} & set(asked.candidates)
        assert ("merge", frozenset(asked.candidates)) not in population.combined


def _behind(population: Population, commit: str) -> set[int]:
    """Candidates that a commit was built on, itself among them."""
    return {trial.candidate.number for trial in population.path(commit)}


@given(histories(), st.sampled_from(POLICIES))
def test_every_decision_can_be_applied_and_says_why(entries: list[Entry], policy: PolicyName) -> None:
    population = _folded(entries)
    decision = decide(population, Rules(policy, pairs=PAIRS), Facts())
    if decision is not None:
        assert len(decision.reason) > 5
        apply(population, Entry(population.entries + 1, population.at, decision))


@given(histories(), st.sampled_from(POLICIES))
def test_deciding_changes_nothing_and_repeats_itself(entries: list[Entry], policy: PolicyName) -> None:
    population, before = _folded(entries), _folded(entries)
    rules = Rules(policy, pairs=PAIRS)
    assert decide(population, rules, Facts()) == decide(population, rules, Facts())
    assert population == before


@given(histories(), st.sampled_from(POLICIES))
def test_nothing_without_a_finite_score_ever_advances(entries: list[Entry], policy: PolicyName) -> None:
    population = _folded(entries)
    while population.unjudged:
        judged = decide(population, Rules(policy), Facts())
        assert isinstance(judged, Judged)
        score = population.trials[judged.trial].score
        assert judged.verdict == "discard" or (score is not None and math.isfinite(score))
        apply(population, Entry(population.entries + 1, population.at, judged))


@given(histories(), st.sampled_from(POLICIES), st.integers(1, 3))
def test_no_more_trials_are_begun_than_there_are_gpus_nor_than_were_asked_for(
    entries: list[Entry], policy: PolicyName, gpus: int
) -> None:
    population = _folded(entries)
    begun = len(population.running) + population.finished
    for slots in (gpus, gpus - 1):
        rules = Rules(policy, lineages=1, gpus=gpus, trials=begun)
        assert not isinstance(decide(population, rules, Facts(slots=slots)), Assigned)
        full = replace(rules, trials=None, gpus=len(population.running))
        assert not isinstance(decide(population, full, Facts()), Assigned)
        empty = replace(rules, trials=None)
        turn = decide(population, empty, Facts(slots=slots))
        assert not isinstance(turn, Assigned) or len(population.running) < slots


def _folded(entries: list[Entry]) -> Population:
    population = Population()
    for entry in entries:
        apply(population, entry)
    return population
