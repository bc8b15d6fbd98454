"""Decisions: who gets the GPU, what advances, when a run is over."""

import math
import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.policy import DRY, POLICIES, Facts, PolicyName, Rules, decide, forecast, parent, wanting
from population.records import (
    Assigned,
    Completed,
    Crashed,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Outcome,
    Proposed,
    Usage,
)
from population.state import Population, apply
from tests.population.histories import candidate, histories, started

ROOT = candidate(1, "l1", ("f" * 40,), "baseline")


class Story:
    """A population built event by event, by its own decisions where nothing else is said."""

    def __init__(self, lineages: int = 2, rules: Rules | None = None) -> None:
        self.population, self.rules = Population(), rules or Rules()
        self.tell(started())
        for n in range(1, lineages + 1):
            self.tell(Founded(f"l{n}", "brief", "scripted", ROOT.commit, "asked for"))
        self.tell(Proposed(ROOT))

    def tell(self, event: Event) -> None:
        apply(self.population, Entry(self.population.entries + 1, 1e9, event))

    def decide(self, **facts: object) -> Assigned | Judged | Ended | None:
        decision = decide(self.population, self.rules, Facts(**facts))  # type: ignore[arg-type]
        if decision is not None:
            self.tell(decision)
        return decision

    def propose(self, lineage: str, complexity: int = 10) -> None:
        tip = parent(self.population, self.rules, self.population.lineages[lineage])
        made = candidate(len(self.population.candidates) + 1, lineage, (tip,))
        self.tell(
            Proposed(
                type(made)(
                    **{f: getattr(made, f) for f in made.__struct_fields__} | {"complexity": complexity}
                )
            )
        )

    def trial(self, outcome: Outcome | float) -> Judged:
        assigned = self.decide()
        assert isinstance(assigned, Assigned)
        result = Completed(outcome) if isinstance(outcome, float) else outcome
        self.tell(Finished(assigned.trial, result, Usage(1e9)))
        judged = self.decide()
        assert isinstance(judged, Judged)
        return judged


def test_the_baseline_comes_first_and_nobody_is_asked_before_it_has_a_score() -> None:
    story = Story()
    assert wanting(story.population) == []
    story.trial(1.0)
    assert sorted(wanting(story.population)) == ["l1", "l2"]


def test_a_better_score_advances_and_moves_the_tip() -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l1")
    assert story.trial(0.9).verdict == "advance"
    assert story.population.lineages["l1"].tip == story.population.candidates[2].commit
    assert story.population.lineages["l2"].tip == ROOT.commit


@pytest.mark.parametrize("outcome", [1.1, Crashed("ValueError: no")])
def test_a_worse_score_or_none_is_discarded(outcome: Outcome | float) -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l2")
    assert story.trial(outcome).verdict == "discard"
    assert story.population.lineages["l2"].tip == ROOT.commit


@pytest.mark.parametrize(("complexity", "verdict"), [(9, "advance"), (10, "discard"), (11, "discard")])
def test_a_tie_advances_only_if_the_genome_is_simpler(complexity: int, verdict: str) -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l1", complexity)
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
    assert isinstance(story.decide(), Ended)


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
    assert wanting(story.population) == ["l1"]
    story.propose("l1")
    story.trial(0.9)
    assert sorted(wanting(story.population)) == ["l1", "l2"]


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
        assert wanting(story.population) == ["l1"]
        story.tell(Declined("l1", ROOT.commit, "nothing new"))
    assert wanting(story.population) == []
    assert isinstance(story.decide(), Ended)


def test_round_robin_gives_everyone_the_same_number_of_trials() -> None:
    story = Story(lineages=3, rules=Rules("round-robin"))
    story.trial(1.0)
    for _ in range(7):
        for name in wanting(story.population):
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
    rules = [Rules(seed=seed) for seed in range(20)]
    soon = [decide(story.population, rule, Facts(thinking={"l2": 0.9})) for rule in rules]
    assert 5 < soon.count(None) < 15
    late = [decide(story.population, rule, Facts(thinking={"l2": 1.0})) for rule in rules]
    assert None not in late


def test_best_of_n_always_starts_from_the_baseline() -> None:
    story = Story(rules=Rules("best-of-n"))
    story.trial(1.0)
    story.propose("l1")
    story.trial(0.5)
    lineage = story.population.lineages["l1"]
    assert lineage.tip != ROOT.commit
    assert parent(story.population, story.rules, lineage) == ROOT.commit


def test_promise_prefers_the_lineage_that_gains() -> None:
    story = Story(rules=Rules(trials=100))
    story.trial(1.0)
    scores = {"l1": 1.0, "l2": 1.0}
    for _ in range(40):
        for name in wanting(story.population):
            story.propose(name)
        turn = story.decide()
        assert isinstance(turn, Assigned)
        name = story.population.candidates[turn.candidate].lineage
        scores[name] *= 0.99 if name == "l2" else 1.01
        story.tell(Finished(turn.trial, Completed(scores[name]), Usage(1e9)))
        story.decide()
    trials = {name: len(line.trials) for name, line in story.population.lineages.items()}
    assert trials["l2"] > 2 * trials["l1"]


def median_forecast(story: Story, lineage: str, share: float) -> float:
    line = story.population.lineages[lineage]
    return statistics.median(forecast(story.population, line, share, Random(n)) for n in range(200))


def test_a_forecast_begins_at_the_tip_and_falls_with_the_trials_to_come() -> None:
    story = Story()
    story.trial(1.0)
    story.propose("l1")
    story.trial(0.99)
    assert median_forecast(story, "l1", 0) == 0.99
    near, far = (0.99 - median_forecast(story, "l1", share) for share in (5, 50))
    assert far == pytest.approx(10 * near) and near > 0


def test_what_a_lineage_did_of_late_weighs_more_in_its_forecast() -> None:
    story = Story(rules=Rules("round-robin"))
    story.trial(1.0)
    story.propose("l2")
    story.trial(1.5)  # as many trials as l1, that of the baseline counted
    tips = {"l1": 1.0, "l2": 1.0}
    for n in range(40):
        name, wins = ("l1", n < 20) if n % 2 == 0 else ("l2", n >= 20)
        story.propose(name)
        tips[name] -= 0.01 if wins else 0.0
        story.trial(tips[name] if wins else 1.5)
    assert tips["l1"] == pytest.approx(tips["l2"])
    assert median_forecast(story, "l2", 10) < median_forecast(story, "l1", 10)


@given(histories(), st.sampled_from(POLICIES))
def test_every_decision_can_be_applied_and_says_why(entries: list[Entry], policy: PolicyName) -> None:
    population = _folded(entries)
    decision = decide(population, Rules(policy), Facts())
    if decision is not None:
        assert len(decision.reason) > 5
        apply(population, Entry(population.entries + 1, population.at, decision))


@given(histories(), st.sampled_from(POLICIES))
def test_deciding_changes_nothing_and_repeats_itself(entries: list[Entry], policy: PolicyName) -> None:
    population, before = _folded(entries), _folded(entries)
    assert decide(population, Rules(policy), Facts()) == decide(population, Rules(policy), Facts())
    assert population == before


@given(histories())
def test_nothing_without_a_finite_score_ever_advances(entries: list[Entry]) -> None:
    population = _folded(entries)
    while population.unjudged:
        judged = decide(population, Rules(), Facts())
        assert isinstance(judged, Judged)
        score = population.trials[judged.trial].score
        assert judged.verdict == "discard" or (score is not None and math.isfinite(score))
        apply(population, Entry(population.entries + 1, population.at, judged))


def _folded(entries: list[Entry]) -> Population:
    population = Population()
    for entry in entries:
        apply(population, entry)
    return population
