"""The life of a venture: near misses put together, a look around from them, and what comes of it."""

import pytest
from msgspec.structs import replace

from population.policy import DRY, Decision, Rules
from population.promising.sharing import PATIENCE, leading
from population.records import (
    Adopted,
    Assigned,
    Clashed,
    Combined,
    Crashed,
    Declined,
    Ended,
    Finished,
    Usage,
)
from tests.population.stories import ROOT, Story

ALL = [1, 2, 4]


def nearly(lineages: int, misses: int, sigmas: float = 1.0, rules: Rules | None = None) -> Story:
    """A story of so many near misses, which l1 tried before anything else was decided.

    Its seed is one whose dice fall for a venture as soon as there can be one.
    """
    story = Story(lineages, rules or Rules(lineages=lineages, seed=int(lineages == 1)))
    story.trial(1.0)
    for _ in range(misses):
        tried(story, sigmas)
    return story


def tried(story: Story, sigmas: float, lineage: str = "l1") -> int:
    """A candidate of l1's that scores so much worse than its base."""
    number, trial = story.propose(lineage), len(story.population.trials) + 1
    story.tell(Assigned(trial, number, 1, "to have tried it"))
    story.finish(trial, sigmas)
    return number


def turn(story: Story) -> Decision | None:
    """The next decision, where everyone thinks in no time."""
    story.thinks()
    return story.decide()


def begun(lineages: int, sigmas: float = 1.0, cost: float = 2.0) -> tuple[Story, Adopted]:
    """A story up to where a lineage looks around from three near misses, which cost so many sigmas."""
    story, trial = prepared(lineages, sigmas)
    story.finish(trial.trial, cost)
    aside = turn(story)
    assert isinstance(aside, Adopted) and aside.commit == story.commit(trial.candidate)
    return story, aside


def prepared(lineages: int, sigmas: float = 1.0) -> tuple[Story, Assigned]:
    """A story up to where three near misses, put together, have the GPU."""
    story = nearly(lineages, 3, sigmas)
    asked = turn(story)
    assert isinstance(asked, Combined) and asked.operator == "venture"
    together = story.propose(asked.lineage, asked.onto, asked.operator, asked.candidates)
    trial = turn(story)
    assert isinstance(trial, Assigned) and trial.candidate == together
    return story, trial


def looked(story: Story, trials: int, sigmas: float = 1.0) -> set[str]:
    """So many trials, none of them of any use; who had them."""
    who = set()
    for _ in range(trials):
        assigned = turn(story)
        assert isinstance(assigned, Assigned), assigned
        who.add(story.population.trials[assigned.trial].candidate.lineage)
        story.finish(assigned.trial, sigmas)
    return who


def clash(story: Story, asked: Combined) -> None:
    """What was to be put together cannot be."""
    story.tell(Clashed(asked.lineage, asked.candidates, "they change the same things"))


@pytest.mark.parametrize("lineages", ALL)
def test_near_misses_are_put_together_once_there_are_enough(lineages: int) -> None:
    story = nearly(lineages, 2)
    assert isinstance(turn(story), Assigned)
    story = nearly(lineages, 3)
    asked = turn(story)
    assert isinstance(asked, Combined) and "open a way" in asked.reason
    assert (asked.operator, asked.onto, set(asked.candidates)) == ("venture", ROOT.commit, {2, 3, 4})


def test_what_cost_much_is_no_near_miss() -> None:
    story = nearly(2, 8, sigmas=8.0)
    assert isinstance(turn(story), Assigned)


@pytest.mark.parametrize("lineages", ALL)
def test_one_lineage_looks_around_from_near_misses_and_gets_every_trial(lineages: int) -> None:
    story, aside = begun(lineages)
    assert looked(story, PATIENCE) == {aside.lineage}
    tips = [line.tip for line in story.population.living if line.name != aside.lineage]
    assert tips == [ROOT.commit] * (lineages - 1) and story.tip(aside.lineage) == aside.commit


@pytest.mark.parametrize("cost", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("lineages", ALL)
def test_it_comes_back_if_it_found_nothing_and_nobody_has_followed(lineages: int, cost: float) -> None:
    story, aside = begun(lineages, cost=cost)
    looked(story, PATIENCE)
    back = turn(story)
    assert isinstance(back, Adopted) and "back to what" in back.reason
    assert (back.lineage, back.commit) == (aside.lineage, ROOT.commit)
    assert {line.tip for line in story.population.living} == {ROOT.commit}


def test_a_success_on_the_way_keeps_it_there_for_as_long_again() -> None:
    story, aside = begun(4, cost=7.0)
    looked(story, PATIENCE - 1, sigmas=9.0)
    better = turn(story)
    assert isinstance(better, Assigned) and story.finish(better.trial, -5.0).verdict == "advance"
    assert leading(story.population) == ROOT.commit
    alone = turn(story)  # does it do as well without the near misses?
    assert isinstance(alone, Combined) and alone.candidates == (better.candidate,)
    clash(story, alone)
    assert looked(story, PATIENCE, sigmas=9.0) == {aside.lineage}
    without: list[set[int]] = []
    while isinstance(back := turn(story), Combined):
        assert (back.lineage, back.onto, back.operator) == (aside.lineage, story.tip(aside.lineage), "ablate")
        without.append(set(back.candidates))
        clash(story, back)
    assert without == [{2, 3, 4}, {2}, {3}, {4}]
    assert isinstance(back, Adopted) and (back.lineage, back.commit) == (aside.lineage, ROOT.commit)


def test_a_way_that_does_without_some_near_misses_is_followed_if_it_is_better_then() -> None:
    story, _ = begun(4, cost=7.0)
    better = turn(story)
    assert isinstance(better, Assigned) and story.finish(better.trial, -5.0).verdict == "advance"
    alone = turn(story)
    assert isinstance(alone, Combined)
    clash(story, alone)
    looked(story, PATIENCE, sigmas=9.0)
    asked = turn(story)
    assert isinstance(asked, Combined) and asked.operator == "ablate"
    number = story.propose(asked.lineage, asked.onto, asked.operator, asked.candidates)
    trial = turn(story)
    assert isinstance(trial, Assigned) and trial.candidate == number
    assert story.finish(trial.trial, -12.0).verdict == "advance"
    moves = [story.decide() for _ in range(3)]
    assert all(isinstance(move, Adopted) and move.commit == story.commit(number) for move in moves)


@pytest.mark.parametrize("lineages", ALL)
def test_everyone_follows_once_it_comes_to_be_the_best(lineages: int) -> None:
    story, _ = begun(lineages)
    found = turn(story)
    assert isinstance(found, Assigned)
    story.finish(found.trial, -10.0)
    moves = [story.decide() for _ in range(lineages - 1)]
    assert all(isinstance(move, Adopted) and "proven by" in move.reason for move in moves)
    assert {line.tip for line in story.population.living} == {story.commit(found.candidate)}


@pytest.mark.parametrize("lineages", ALL)
def test_until_nothing_more_is_expected_there_nothing_is_taken_out_and_no_other_begins(lineages: int) -> None:
    story, _ = begun(lineages)
    found = turn(story)
    assert isinstance(found, Assigned)
    story.finish(found.trial, -10.0)
    for _ in range(lineages - 1):
        assert isinstance(story.decide(), Adopted)
    looked(story, PATIENCE)  # and nothing but trials
    later = turn(story)
    assert isinstance(later, Combined) and later.operator == "ablate" and set(later.candidates) <= {2, 3, 4}


def test_near_misses_that_cost_too_much_together_are_not_looked_around_from() -> None:
    story, trial = prepared(2)
    story.finish(trial.trial, 12.0)
    looked(story, 2 * PATIENCE, sigmas=9.0)
    assert story.commit(trial.candidate) not in story.population.bases


def test_near_misses_that_crash_together_are_not_looked_around_from() -> None:
    story, trial = prepared(2)
    story.tell(Finished(trial.trial, Crashed("ValueError: no"), Usage(1e9)))
    story.decide()
    looked(story, 2 * PATIENCE, sigmas=9.0)
    assert story.commit(trial.candidate) not in story.population.bases


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rules", [Rules(trials=13), Rules(hours=0.027)])
def test_no_venture_begins_when_few_trials_are_left(rules: Rules, seed: int) -> None:
    story, elapsed_s = nearly(2, 1, rules=replace(rules, seed=seed)), 0.0
    while not isinstance(decision := story.decide(elapsed_s=elapsed_s), Ended):
        story.thinks()
        if isinstance(decision, Assigned):
            story.finish(decision.trial, 1.0)
            elapsed_s += 10.0
        assert not isinstance(decision, Adopted | Combined)
    assert story.population.finished in (12, 13)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lineages", ALL)
def test_no_near_miss_is_in_two_ventures_and_no_two_lineages_are_away_at_once(
    lineages: int, seed: int
) -> None:
    story, ventures = nearly(lineages, 1, rules=Rules(lineages=lineages, seed=seed)), 0
    while story.population.finished < 60:
        decision = turn(story)
        if isinstance(decision, Assigned):
            candidate = story.population.candidates[decision.candidate]
            story.finish(decision.trial, max(1, len(candidate.combines)))
            tips = [line.tip for line in story.population.living]
            assert sum(tip != leading(story.population) for tip in tips) <= 1
        elif isinstance(decision, Combined):
            story.propose(decision.lineage, decision.onto, decision.operator, decision.candidates)
            ventures += 1
    made = [c.combines for c in story.population.candidates.values() if c.operator == "venture"]
    assert len(made) == ventures >= 3
    parts = [part for combines in made for part in combines]
    assert len(parts) == len(set(parts))


@pytest.mark.parametrize("lineages", ALL)
def test_near_misses_that_clash_are_halved_until_one_is_left_which_needs_no_trial(lineages: int) -> None:
    story, sizes = nearly(lineages, 8), []
    while isinstance(asked := turn(story), Combined):
        sizes.append(len(asked.candidates))
        clash(story, asked)
    assert sizes == [8, 4, 2]
    assert isinstance(asked, Adopted) and asked.commit in {story.commit(n) for n in range(2, 10)}
    assert looked(story, PATIENCE) == {asked.lineage}


def test_a_near_miss_of_long_ago_is_carried_over_to_where_all_stand_now() -> None:
    story = nearly(2, 3)
    won = story.commit(tried(story, -10.0))
    assert isinstance(turn(story), Adopted)
    for _ in range(2 * PATIENCE):
        asked = turn(story)
        if isinstance(asked, Combined) and len(asked.candidates) == 1:
            break
        if isinstance(asked, Combined):
            clash(story, asked)
        if isinstance(asked, Assigned):
            story.finish(asked.trial, 9.0)
    assert isinstance(asked, Combined) and (asked.operator, asked.onto) == ("venture", won)
    assert set(asked.candidates) <= {2, 3, 4}


def test_where_no_venture_led_what_seems_idle_is_taken_out_as_soon_as_that_promises_most() -> None:
    story = nearly(1, 0)
    lucky, best = tried(story, -4.0), tried(story, -10.0)
    story.tell(Assigned(4, lucky, 2, "to know it better"))
    story.finish(4, 20.0)
    for _ in range(PATIENCE - 2):
        asked = turn(story)
        if isinstance(asked, Combined):
            break
        assert isinstance(asked, Assigned)
        story.finish(asked.trial, 9.0)
    assert isinstance(asked, Combined) and asked.operator == "ablate"
    assert (asked.onto, asked.candidates) == (story.commit(best), (lucky,))


def test_a_lineage_without_ideas_is_asked_again_once_it_has_stepped_aside() -> None:
    story, trial = prepared(2)
    story.finish(trial.trial, 2.0)
    for name in ("l1", "l2"):
        for _ in range(DRY):
            story.tell(Declined(name, story.tip(name), "nothing left"))
    story.tell(Adopted("l1", story.commit(trial.candidate), "to look around"))
    assert story.wanting() == ["l1"]
