"""Who is asked for an idea, and for what: minds that fail, cost or have nothing, and others' errands."""

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from population.deciding.asking import Errand, errand, stands_in, wanting
from population.deciding.assigning import DRY, parent
from population.deciding.horizon import trials_left
from population.names import STAND_IN, SUBMIT, reads
from population.policy import POLICIES, Facts, PolicyName, Rules, decide
from population.records import (
    Adopted,
    Assigned,
    Clashed,
    Combined,
    Completed,
    Crashed,
    Declined,
    Ended,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Lost,
    Proposed,
    Thought,
    Usage,
)
from population.state import Population, replay
from tests.population.histories import candidate, histories
from tests.population.stories import ROOT, SIGMA, Story

LLM, AGENT, TPE = "llm/a", "agent/b", "mutate/tpe"
SEEDS = range(200)


class Minds(Story):
    """A story of lineages l1, l2, ... with these proposers, whose baseline was measured as often as due."""

    def __init__(self, *proposers: str, rules: Rules | None = None) -> None:
        self._proposers = iter(proposers)
        super().__init__(len(proposers), rules)
        self.trial(1.0)
        self.open()

    def tell(self, event: Event) -> None:
        founded = isinstance(event, Founded)
        super().tell(replace(event, proposer=next(self._proposers)) if founded else event)

    def stands_in(self, name: str) -> bool:
        return stands_in(self.population, self.rules, self.population.lineages[name])

    def errands(self, name: str) -> list[Errand]:
        """What the lineage would be asked for, by seed."""
        return [errand(self.population, self.population.lineages[name], seed) for seed in SEEDS]

    def answers(self, name: str, cost_usd: float = 0.0, wall_s: float = 0.0, **fields: Any) -> int:
        """The lineage's own mind has an idea."""
        number, line = len(self.population.candidates) + 1, self.population.lineages[name]
        made = candidate(number, name, (parent(self.population, line),))
        proposed = replace(made, proposer=line.proposer, thought=Thought(cost_usd=cost_usd, wall_s=wall_s))
        self.tell(Proposed(replace(proposed, **fields)))
        return number

    def declines(self, name: str, times: int = 1, failed: bool = False, stood_in: bool = False) -> None:
        for _ in range(times):
            self.tell(Declined(name, self.tip(name), "no", failed=failed, stood_in=stood_in))

    def tried(self, number: int, sigmas: float) -> Judged:
        """A candidate has its trial, so many sigmas above its base."""
        trial = len(self.population.trials) + 1
        self.tell(Assigned(trial, number, 1, "its turn"))
        return self.finish(trial, sigmas)

    def passes(self, trials: int = 1) -> None:
        """So many trials that measure the baseline again."""
        for _ in range(trials):
            number = len(self.population.trials) + 1
            self.tell(Assigned(number, 1, number, "once more"))
            self.tell(Finished(number, Completed(1.0 + SIGMA * (-1) ** number), Usage(1e9)))
            self.tell(Judged(number, "confirm", "measured again"))

    def shares(self) -> None:
        """Whoever is due to move to what is proven does."""
        while isinstance(decision := decide(self.population, self.rules, Facts()), Adopted):
            self.tell(decision)


def test_a_lineage_whose_mind_failed_is_left_alone_for_longer_each_time_and_the_others_go_on() -> None:
    story = Minds(LLM, LLM)
    for rest in (1, 2, 4, 8, 16, 16, 16):
        story.declines("l1", failed=True)
        for _ in range(rest):
            assert story.wanting() == ["l2"]
            assert not story.stands_in("l1")
            story.passes()
        assert sorted(story.wanting()) == ["l1", "l2"]


def test_a_reading_mind_that_came_to_nothing_is_asked_again_later() -> None:
    story = Minds(LLM, LLM)
    for _ in range(DRY):
        assert "l1" in story.wanting()
        story.declines("l1")
    for rest in (1, 2, 4, 8, 16, 16):
        for _ in range(rest):
            assert story.wanting() == ["l2"]
            story.passes()
        assert "l1" in story.wanting()
        story.declines("l1")


def test_the_optimiser_stands_in_only_when_no_mind_can_be_reached() -> None:
    story = Minds(LLM, AGENT, SUBMIT)
    story.declines("l1", failed=True)
    assert not story.stands_in("l1") and story.wanting() == ["l2"]
    story.declines("l2", failed=True)
    assert story.stands_in("l1") and story.stands_in("l2") and not story.stands_in("l3")
    assert sorted(story.wanting()) == ["l1", "l2"]


def test_the_next_own_answer_ends_the_standing_in() -> None:
    story = Minds(LLM, LLM)
    for name in ("l1", "l2"):
        story.declines(name, failed=True)
    story.answers("l1", proposer=STAND_IN)
    assert story.population.lineages["l1"].failures == 1 and story.stands_in("l2")
    story.passes()
    assert not story.stands_in("l2")  # it has rested: its own mind is asked
    story.answers("l2")
    assert story.population.lineages["l2"].failures == 0
    assert not story.stands_in("l1")


def test_a_stand_in_without_an_idea_is_not_asked_for_ever() -> None:
    story = Minds(LLM)
    story.declines("l1", DRY, failed=True)
    for _ in range(DRY):
        assert story.stands_in("l1") and story.wanting() == ["l1"]
        story.declines("l1", stood_in=True)
    assert not story.stands_in("l1") and story.wanting() == []


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("proposers", [(LLM,), (LLM, AGENT, SUBMIT), (LLM, TPE), (TPE, TPE)])
@pytest.mark.parametrize("failing", [0, 1, 99])
def test_a_run_in_which_nobody_has_an_idea_ends(
    proposers: tuple[str, ...], policy: PolicyName, failing: int
) -> None:
    story = Minds(*proposers, rules=Rules(policy))
    for asked in range(100):
        for name in story.wanting():
            stood_in = story.stands_in(name)
            story.declines(name, failed=not stood_in and asked < failing, stood_in=stood_in)
        decision = story.decide()
        assert isinstance(decision, Ended | Assigned) or (decision is None and story.wanting())
        if isinstance(decision, Ended):
            break
        if isinstance(decision, Assigned):
            story.tell(Finished(decision.trial, Completed(1.0 + SIGMA), Usage(1e9)))
    assert story.population.ended == "no lineage has an idea left"


def test_lineages_that_are_submitted_to_are_never_asked_and_do_not_end_a_run() -> None:
    story = Minds(SUBMIT, SUBMIT, rules=Rules(max_cost=1.0))
    for _ in range(6):
        assert story.wanting() == [] and story.decide() is None
        story.answers("l1", operator="external")
        turn = story.decide()
        assert isinstance(turn, Assigned)
        story.finish(turn.trial, sigmas=10)


# --- money -------------------------------------------------------------------------------------------------


def test_with_the_money_spent_minds_that_cost_are_not_asked_and_those_that_do_not_go_on() -> None:
    story = Minds(LLM, "llm/free", TPE, rules=Rules(max_cost=1.0))
    story.tried(story.answers("l1", cost_usd=0.75), sigmas=10)
    assert "l1" in story.wanting()
    story.tried(story.answers("l1", cost_usd=0.25), sigmas=10)
    story.declines("l2", failed=True)
    assert story.wanting() == ["l3"]
    story.passes(20)
    assert sorted(story.wanting()) == ["l2", "l3"]


def test_with_all_money_spent_a_run_tries_what_waits_measures_its_best_again_and_says_the_sum() -> None:
    story = Minds(LLM, LLM, rules=Rules(max_cost=0.5))
    best = story.answers("l1", cost_usd=0.2)
    story.tried(best, sigmas=-10)
    story.shares()
    story.passes(4)  # a short run measures nothing again
    waits = story.answers("l2", cost_usd=0.3)
    turns: list[int] = []
    while not isinstance(decision := story.decide(), Ended):
        assert isinstance(decision, Assigned) and story.wanting() == []
        turns.append(decision.candidate)
        story.finish(decision.trial, sigmas=10 if decision.candidate == waits else -10)
    assert turns[0] == waits and best in turns[1:]
    assert decision.reason == "$0.50 are spent, of $0.50 for minds"


@pytest.mark.parametrize("other", [TPE, "llm/free"])
def test_a_run_without_money_whose_other_minds_have_no_idea_ends(other: str) -> None:
    story = Minds(LLM, other, rules=Rules(max_cost=0.5))
    story.tried(story.answers("l1", cost_usd=0.5), sigmas=10)
    for asked in range(50):
        for name in story.wanting():
            stood_in = story.stands_in(name)
            story.declines(name, failed=not stood_in and asked == 0, stood_in=stood_in)
        if isinstance(decision := story.decide(), Ended):
            break
        assert story.wanting()
    assert isinstance(decision, Ended) and decision.reason.startswith("$0.50 are spent")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_goes_on_while_there_is_any_money(policy: PolicyName) -> None:
    story = Minds(LLM, rules=Rules(policy, max_cost=1.0))
    for _ in range(9):
        story.tried(story.answers("l1", cost_usd=0.11), sigmas=10)
        assert story.wanting() == ["l1"] and not isinstance(story.decide(), Ended)
        if story.population.running:
            story.finish(story.population.running[0], sigmas=0)
    assert 1 <= trials_left(story.population, story.rules, Facts()) < 3


@given(st.data())
def test_as_many_trials_are_left_as_can_be_paid_for_and_one_while_there_is_money(data: st.DataObject) -> None:
    costs = data.draw(st.lists(st.floats(0, 2), min_size=6, max_size=6))
    limit = data.draw(st.floats(0.01, 20))
    story = Minds(LLM, rules=Rules(max_cost=limit))
    for cost in costs:
        story.tried(story.answers("l1", cost_usd=cost), sigmas=10)
    left, taken = trials_left(story.population, story.rules, Facts()), sum(story.population.costs.values())
    assert left >= 1
    if 0 < taken < limit:
        assert left == 1 or left * taken / story.population.finished <= limit - taken + 1e-9
    else:
        assert left == math.inf


# --- errands -----------------------------------------------------------------------------------------------


def clashing() -> tuple[Minds, int]:
    """A story in which l2's untried idea does not fit what l1 has won meanwhile."""
    story = Minds(LLM, LLM)
    won, waits = story.answers("l1"), story.answers("l2")
    story.tried(won, sigmas=-10)
    story.shares()
    story.tell(Combined("l2", story.tip("l2"), (waits,), "mutate", "its tip has moved"))
    story.tell(Clashed("l2", (waits,), "they change the same things"))
    return story, waits


def test_an_untried_idea_that_clashed_with_the_moved_tip_is_to_be_merged_once() -> None:
    story, waits = clashing()
    assert set(story.errands("l2")) == {Errand("merge", waits)}
    assert set(story.errands("l1")) == {Errand()}
    story.answers("l2", operator="merge", about=waits)
    assert set(story.errands("l2")) == {Errand()}


def test_a_mind_that_cannot_merge_is_asked_for_something_new_next() -> None:
    story, _ = clashing()
    story.declines("l2", failed=True, stood_in=True)
    assert story.errands("l2")[0].task == "merge"  # the optimiser was asked, not the mind
    story.declines("l2")
    assert set(story.errands("l2")) == {Errand()}


def missed() -> tuple[Minds, int]:
    """A story with a near miss, a win that moved everyone, and a drought since then."""
    story = Minds(LLM, TPE)
    near = story.answers("l1")
    assert story.tried(near, sigmas=-0.7).verdict == "confirm"
    won = story.answers("l1")
    assert story.tried(won, sigmas=-10).verdict == "advance"
    story.shares()
    for _ in range(6):
        assert set(story.errands("l1")) == {Errand()}
        story.tried(story.answers("l1"), sigmas=10)
    return story, near


def test_after_a_drought_a_near_miss_from_an_older_tip_is_looked_at_again_now_and_then() -> None:
    story, near = missed()
    errands = story.errands("l1")
    assert set(errands) == {Errand(), Errand("revisit", near)}
    assert 0.2 < errands.count(Errand("revisit", near)) / len(errands) < 0.47  # one in three
    assert errands == story.errands("l1")


def test_a_near_miss_is_not_looked_at_twice_nor_is_the_look_itself() -> None:
    story, near = missed()
    again = story.answers("l1", operator="revisit", about=near)
    assert set(story.errands("l1")) == {Errand()}
    story.tried(again, sigmas=-0.7)
    assert set(story.errands("l1")) == {Errand()}  # made from where the lineage stands


def test_what_is_in_the_tip_already_is_no_near_miss() -> None:
    story, near = missed()
    other = story.answers("l1")
    story.tried(other, sigmas=-0.7)
    story.tell(Combined("l1", story.tip("l1"), (near, other), "merge", "neither is proven by itself"))
    both = story.answers("l1", operator="merge", combines=(near, other))
    story.tried(both, sigmas=-10)
    story.shares()
    for _ in range(6):
        story.tried(story.answers("l1"), sigmas=10)
    assert story.tip("l1") == story.commit(both)
    assert set(story.errands("l1")) == {Errand()}


def test_an_optimiser_is_never_sent_on_an_errand() -> None:
    story, _ = missed()
    assert set(story.errands("l2")) == {Errand()}
    story, _ = clashing()
    story.population.lineages["l2"].proposer = TPE
    assert set(story.errands("l2")) == {Errand()}


def test_a_policy_without_a_search_has_nothing_to_revisit() -> None:
    """Everything starts from the baseline there, so no surroundings have changed."""
    story = Minds(LLM, rules=Rules("best-of-n"))
    story.tried(story.answers("l1"), sigmas=-10)
    for _ in range(7):
        story.tried(story.answers("l1"), sigmas=-1)
    assert story.population.drought >= 6 and set(story.errands("l1")) == {Errand()}


# --- whatever happens --------------------------------------------------------------------------------------


@st.composite
def minded(draw: st.DrawFn, *kinds: str) -> Population:
    """Where a history leads whose lineages have these proposers, and whose minds fail now and then."""
    proposers, entries = dict[str, str](), list[Entry]()
    policy = draw(st.sampled_from(POLICIES))
    for entry in draw(histories(policy=policy)):
        event = entry.event
        match event:
            case Founded(lineage):
                proposers[lineage] = draw(st.sampled_from(kinds))
                event = replace(event, proposer=proposers[lineage])
            case Declined(lineage):
                failed, stood_in = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
                event = replace(event, failed=failed, stood_in=stood_in and reads(proposers[lineage]))
            case Proposed(made) if made.operator == "mutate":
                cost = Thought(cost_usd=draw(st.sampled_from([0.0, 0.25])))
                event = Proposed(replace(made, proposer=proposers[made.lineage], thought=cost))
        entries.append(replace(entry, event=event))
    return replay(entries)


@given(minded(LLM, AGENT, TPE, SUBMIT), st.sampled_from([None, 0.5]))
def test_only_those_are_asked_who_live_are_idle_and_may_be(
    population: Population, money: float | None
) -> None:
    rules = Rules(population.run.policy, max_cost=money)  # type: ignore[arg-type]
    for name in wanting(population, rules):
        line = population.lineages[name]
        assert line.pruned is None and line.proposer != SUBMIT and population.ended is None
        assert not [n for n in line.ready if population.candidates[n].base == parent(population, line)]
        assert (
            money is None or not population.costs.get(line.proposer) or sum(population.costs.values()) < money
        )


@given(minded(LLM, AGENT, TPE, SUBMIT), st.integers(0, 2**32))
def test_an_errand_is_about_something_that_the_lineage_does_not_have(
    population: Population, seed: int
) -> None:
    assume(population.baseline_score is not None)
    for line in population.living:
        sent, stand = errand(population, line, seed), parent(population, line)
        assert sent == errand(population, line, seed)
        assert (sent.about is None) == (sent.task == "mutate")
        assert sent.about is None or reads(line.proposer)
        assert sent.task != "merge" or sent.about in line.clashed
        if sent.task == "revisit" and sent.about is not None:
            near = population.candidates[sent.about]
            assert near.base != stand and near.number not in population.history(population.commits[stand])
            assert sent.about not in {made.about for made in population.candidates.values()}


@given(minded("mutate/tpe", "mutate/cma", SUBMIT))
def test_a_run_of_optimisers_needs_no_stand_in(population: Population) -> None:
    assert not [line for line in population.living if stands_in(population, Rules(), line)]


@given(minded(LLM, AGENT, TPE))
def test_a_run_never_waits_for_nobody(population: Population) -> None:
    assume(population.ended is None and population.combining is None)
    rules = Rules(population.run.policy)  # type: ignore[arg-type]
    moves = decide(population, rules, Facts()) is not None or bool(population.running)
    assert moves or wanting(population, rules)


def test_nobody_is_asked_before_the_baseline_has_a_score_or_after_the_end() -> None:
    story = Minds(LLM)
    story.tell(Ended("enough"))
    assert story.wanting() == []
    assert ROOT.commit in story.population.scores


AHEAD = Rules(speculates=True)


def test_where_ideas_are_had_ahead_minds_think_while_the_baseline_trains() -> None:
    story = Story(rules=AHEAD)
    assert story.wanting() == []
    story.tell(Assigned(1, 1, 1, "first"))
    assert sorted(story.wanting()) == ["l1", "l2"]
    idea = story.propose("l1")
    story.tell(Finished(1, Crashed("ValueError: no"), Usage(1e9)))
    assert isinstance(story.decide(), Judged)
    assert isinstance(story.decide(), Ended) and idea not in story.population.tried


def test_a_baseline_that_was_lost_comes_before_ideas_that_were_had_meanwhile() -> None:
    story = Story(rules=AHEAD)
    story.tell(Assigned(1, 1, 1, "first"))
    story.propose("l2")
    story.tell(Lost(1, "no power"))
    turn = story.decide()
    assert isinstance(turn, Assigned) and turn.candidate == 1


@pytest.mark.parametrize(("think_s", "ideas"), [(1.0, 1), (9.0, 1), (11.0, 2), (100.0, 2)])
def test_slow_minds_have_another_idea_while_one_waits(think_s: float, ideas: int) -> None:
    story = Minds(LLM, LLM, rules=AHEAD)
    assert story.population.run.budget_s == 10.0
    for number in range(1, 4):
        assert ("l1" in story.wanting()) == (number <= ideas)
        story.answers("l1", wall_s=think_s)
        story.answers("l2", wall_s=think_s)


def test_nobody_has_two_ideas_waiting_where_trials_are_not_started_up_ahead() -> None:
    story = Minds(LLM, LLM)
    story.answers("l1", wall_s=100.0)
    assert story.wanting() == ["l2"]
