"""Ideas had before the tip moved: another is asked for, takes their place, or they are rebased and tried."""

import pytest
from msgspec.structs import replace

from population.policy import PolicyName, Rules
from population.records import Adopted, Assigned, Clashed, Combined, Declined
from tests.population.stories import ROOT, SIGMA, Story


def moved() -> tuple[Story, str, int]:
    """A story in which l1 has won, where that took everyone, and an idea that l2 had before."""
    story = Story()
    story.trial(1.0)
    won, waits = story.propose("l1"), story.propose("l2")
    story.tell(Assigned(2, won, 1, "to tell them apart"))
    story.finish(2, sigmas=-10)
    assert isinstance(story.decide(), Adopted)
    return story, story.commit(won), waits


def test_a_lineage_whose_idea_is_stale_is_asked_for_another_at_once() -> None:
    story, _, waits = moved()
    assert story.population.lineages["l2"].ready == [waits]
    assert sorted(story.wanting()) == ["l1", "l2"]


def test_the_gpu_waits_a_moment_for_a_fresh_idea_and_the_stale_one_gives_way_to_it() -> None:
    story, tip, waits = moved()
    assert story.decide(thinking={"l2": 0.9}) is None
    fresh = story.propose("l2", tip)
    assert story.population.lineages["l2"].ready == [fresh] and story.wanting() == ["l1"]
    turn = story.decide()
    assert isinstance(turn, Assigned) and turn.candidate == fresh
    assert waits not in story.population.tried


def test_a_stale_idea_is_rebased_if_no_fresh_one_comes_in_time() -> None:
    story, tip, waits = moved()
    asked = story.decide(thinking={"l2": 1.0})
    assert isinstance(asked, Combined) and "tip has moved" in asked.reason
    assert (asked.lineage, asked.onto, asked.candidates, asked.operator) == ("l2", tip, (waits,), "mutate")
    assert story.decide() is None  # until it is known what comes of it
    rebased = story.propose("l2", tip, "mutate", (waits,))
    turn = story.decide(thinking={"l2": 2.0})
    assert isinstance(turn, Assigned) and turn.candidate == rebased


def test_a_stale_idea_that_cannot_be_rebased_is_dropped_and_the_lineage_asked() -> None:
    story, _, waits = moved()
    assert isinstance(story.decide(), Combined)
    story.tell(Clashed("l2", (waits,), "they change the same things"))
    assert story.population.lineages["l2"].ready == [] and "l2" in story.wanting()
    assert story.decide() is None


def test_a_lineage_that_has_no_other_idea_tries_its_stale_one() -> None:
    story, tip, waits = moved()
    while "l2" in story.wanting():
        story.tell(Declined("l2", tip, "nothing new"))
    asked = story.decide()
    assert isinstance(asked, Combined) and asked.candidates == (waits,)


def test_a_fresh_idea_is_tried_before_a_stale_one_that_waits_longer() -> None:
    story, tip, waits = moved()
    story.tell(Adopted("l2", ROOT.commit, "back"))  # while its mind thinks about what l1 won
    late = story.propose("l2", tip)
    assert story.population.lineages["l2"].ready == [waits, late]
    turn = story.settled()
    assert isinstance(turn, Assigned) and turn.candidate == late
    assert story.population.lineages["l2"].ready == [waits]  # and may be rebased when that is done


@pytest.mark.parametrize("policy", ["greedy", "round-robin"])
def test_under_single_scores_no_idea_gets_stale(policy: PolicyName) -> None:
    story = Story(rules=Rules(policy))
    story.trial(1.0)
    for turn in range(1, 9):
        story.thinks()
        assert story.wanting() == []
        assert story.trial(1.0 - turn * SIGMA).verdict == "advance"
    assert not story.population.replaced


def test_where_trials_start_up_ahead_a_stale_idea_is_rebased_at_once() -> None:
    story, _, waits = moved()
    story.rules = replace(story.rules, speculates=True)
    asked = story.decide(thinking={"l2": 0.1})
    assert isinstance(asked, Combined) and asked.candidates == (waits,)


@pytest.mark.parametrize("policy", ["promise", "greedy", "round-robin"])
@pytest.mark.parametrize("lineage", [0, 1])
def test_what_has_started_up_goes_on_whoever_else_has_an_idea(policy: PolicyName, lineage: int) -> None:
    story = Story(rules=Rules(policy, speculates=True))
    story.trial(1.0)
    story.open()
    started = [story.propose("l1"), story.propose("l2")][lineage]
    turn = story.decide(ahead=((started, ROOT.commit),))
    assert isinstance(turn, Assigned) and turn.candidate == started


def test_what_has_started_up_on_an_old_tip_is_not_tried_there() -> None:
    story, _, waits = moved()
    story.rules = replace(story.rules, speculates=True)
    fresh = story.propose("l1", story.tip("l1"))
    turn = story.decide(ahead=((waits, ROOT.commit),))
    assert isinstance(turn, Assigned) and turn.candidate == fresh


@pytest.mark.parametrize("lineage", ["l1", "l2"])
def test_of_stale_ideas_that_is_rebased_whose_genome_on_the_new_tip_has_started_up(lineage: str) -> None:
    story, tip, waits = moved()
    story.rules = replace(story.rules, speculates=True)
    ideas = {"l1": story.propose("l1", ROOT.commit), "l2": waits}
    asked = story.decide(ahead=((ideas[lineage], tip),))
    assert isinstance(asked, Combined) and asked.candidates == (ideas[lineage],)


def test_while_the_gpu_is_busy_the_stale_idea_that_is_next_is_put_on_the_new_tip() -> None:
    story, tip, waits = moved()
    story.rules = replace(story.rules, speculates=True)
    other = story.propose("l1", ROOT.commit)
    first = story.decide()
    assert isinstance(first, Combined)
    rebased = story.propose(first.lineage, tip, "mutate", first.candidates)
    turn = story.decide()
    assert isinstance(turn, Assigned) and turn.candidate == rebased
    then = story.decide()
    assert isinstance(then, Combined) and {*first.candidates, *then.candidates} == {waits, other}
    story.propose(then.lineage, tip, "mutate", then.candidates)
    assert story.decide() is None
