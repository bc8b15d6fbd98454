import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import BASELINE, Story, searched

from population.evidence import weigh
from population.records import Crashed, Declined, Operator, Outcome, Thought
from population.state import Population
from results.ideas import attempts
from results.minds import cost, standings, verdict
from results.ranking import Facet, Ranking, rankings, rankings_across

MODEL = "llm/openai/test"


def ranked(population: Population, of: Facet = "brief") -> Ranking:
    return next(ranking for ranking in rankings(population) if ranking.of == of)


def across(*stories: Story) -> Ranking:
    return across_of([story.population for story in stories])


def across_of(populations: list[Population]) -> Ranking:
    return next(ranking for ranking in rankings_across(populations) if ranking.of == "brief")


def briefed(*briefs: str, policy: str = "promise") -> Story:
    """A lineage of each brief, with the brief's name and a model for a mind; the baseline is done."""
    story = Story(policy=policy)
    for brief in briefs:
        story.founds(brief, brief=brief, proposer=MODEL)
    story.tries(briefs[0], "the baseline", 2.7, keep=True, operator="baseline")
    return story


def tries(
    story: Story, name: str, gain: float | None, operator: Operator = "mutate", proposer: str = MODEL
) -> None:
    """A trial with that gain over the lineage's tip; a win spreads. None: a crash."""
    tip = story.population.score(story.population.lineages[name].tip) or 0.0
    result: float | Outcome = Crashed("NaN") if gain is None else tip - gain
    candidate = story.proposes(name, "an idea", operator, proposer=proposer)
    story.measures(candidate, result, "advance" if gain and gain > 0 else "discard")
    if gain and gain > 0:
        story.adopts(candidate.commit, *(one for one in story.population.lineages if one != name))


def contest(trials: int, bold: float, calm: float, apart: int = 3) -> Story:
    """Two briefs in turn, with such gains every so many trials."""
    story = briefed("bold", "calm")
    for turn in range(trials):
        tries(story, "bold", bold if turn % apart == 0 else -0.2)
        tries(story, "calm", calm if turn % apart == 0 else -0.2)
    return story


def test_a_brief_that_gains_again_and_again_is_told_apart_from_one_that_never_does() -> None:
    found = ranked(contest(12, bold=0.1, calm=-0.1).population)
    assert [standing.name for standing in found.standings] == ["bold", "calm"] and found.told_apart
    assert found.standings[0].low > found.standings[1].gain
    assert verdict(found).startswith("bold gains more than calm: ")


@pytest.mark.parametrize(("trials", "bold", "calm"), [(1, 0.1, -0.1), (12, 0.1, 0.1), (3, 0.3, -0.1)])
def test_what_is_equal_or_hardly_tried_is_not_told_apart(trials: int, bold: float, calm: float) -> None:
    found = ranked(contest(trials, bold, calm).population)
    assert not found.told_apart
    assert verdict(found).startswith("the data cannot tell them apart: ")


def test_an_interval_narrows_with_trials_and_holds_the_mean() -> None:
    few, many = (ranked(contest(n, 0.1, 0.05).population).standings[0] for n in (3, 15))
    assert few.low < few.gain < few.high and many.low < many.gain < many.high
    assert many.high - many.low < few.high - few.low


def test_a_trial_without_a_score_counts_as_one_that_gained_nothing() -> None:
    story = briefed("bold", "calm")
    for _ in range(6):
        tries(story, "bold", 0.1)
        tries(story, "calm", None)
    best, worst = ranked(story.population).standings
    assert (worst.name, worst.trials, worst.kept) == ("calm", 6, 0) and worst.gain < best.gain / 3


def test_who_starts_late_is_compared_with_what_others_gained_then() -> None:
    """Early gains are ten times the late ones, and equal among those who were there."""
    story = briefed("early", "late")
    for turn in range(24):
        tries(story, "early", 0.2 if turn % 2 else -0.2)
    for turn in range(32):
        tries(story, ("early", "late")[turn // 2 % 2], 0.02 if turn % 2 else -0.2)
    early, late = sorted(ranked(story.population).standings, key=lambda standing: standing.name)
    assert not ranked(story.population).told_apart
    assert late.gain > early.gain / 2, "as they are, its gains a trial are a seventh"


def test_what_no_mind_thought_of_is_not_ranked() -> None:
    story = briefed("bold", "calm")
    tries(story, "bold", -0.01)
    near = story.doubts("calm", "a near miss", 2.695)
    story.measures(near, 2.694, "confirm")
    story.measures(story.combines("calm", near, operator="ablate"), 2.9, "discard")
    assert [trial.number for trial in attempts(story.population)] == [2, 3]


def test_an_idea_that_was_rebased_is_still_its_authors() -> None:
    story = briefed("bold", "calm")
    tries(story, "bold", -0.1)
    waiting = story.proposes("calm", "an idea", "merge", proposer=MODEL, about=2)
    story.measures(story.combines("calm", waiting), 2.9, "discard")
    assert len(attempts(story.population)) == 2


def test_a_brief_is_not_credited_with_what_its_reader_did_not_think_of() -> None:
    story = briefed("bold", "calm")
    for name in ("bold", "calm"):
        tries(story, name, -0.1)
    tries(story, "calm", 0.2, proposer="mutate/tpe")
    tries(story, "calm", 0.2, "external", proposer="submit")
    assert [standing.trials for standing in ranked(story.population).standings] == [1, 1]
    names = {standing.name for standing in ranked(story.population, "proposer").standings}
    assert names == {MODEL, "mutate/tpe", "submit"}
    assert {one.name for one in ranked(story.population, "operator").standings} == {"mutate", "external"}


def test_briefs_of_an_optimiser_are_not_ranked_since_it_reads_none() -> None:
    story = Story().founds("cedar", brief="bold", proposer="mutate/tpe")
    story.founds("moss", brief="calm", proposer="mutate/tpe")
    story.tries("cedar", "the baseline", 2.7, keep=True, operator="baseline")
    for name in ("cedar", "moss"):
        tries(story, name, 0.1, proposer="mutate/tpe")
    assert rankings(story.population) == ()


def test_under_a_control_arm_a_gain_is_what_advanced_by_its_score() -> None:
    story = briefed("bold", "calm", policy="greedy")
    tries(story, "bold", 0.001)
    tries(story, "calm", -0.001)
    bold, calm = ranked(story.population).standings
    assert bold.name == "bold" and bold.kept == 1 and bold.gain > calm.gain


def test_a_trial_costs_what_all_ideas_of_its_group_did_tried_or_not() -> None:
    story = briefed("bold", "calm")
    tries(story, "bold", 0.1)
    tries(story, "calm", 0.1)
    story.proposes("calm", "never tried", proposer=MODEL)
    costs = {one.name: (one.tokens, one.cost_usd) for one in ranked(story.population).standings}
    assert costs["calm"] == (220.0, 0.02) and costs["bold"] != costs["calm"]


def test_nothing_is_ranked_before_two_were_tried() -> None:
    assert rankings(briefed("bold", "calm").population) == ()
    assert rankings(Story().begins("cedar").population) == ()


@settings(max_examples=20)
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_the_same_run_is_always_ranked_the_same_with_odds_and_intervals_in_order(
    trials: int, seed: int
) -> None:
    population = searched(trials, seed=seed).population
    for ranking in rankings(population):
        assert ranking in rankings(population)
        gains = [standing.gain for standing in ranking.standings]
        assert gains == sorted(gains, reverse=True) and 0 <= ranking.odds <= 1
        assert all(0 <= one.low <= one.gain <= one.high for one in ranking.standings)


def test_a_task_without_noise_and_without_gains_is_ranked_as_nothing() -> None:
    story = briefed("bold", "calm")
    for name in ("bold", "calm") * 3:
        tries(story, name, -1.0)
    assert weigh(story.population).sigma > 0
    found = ranked(story.population)
    assert not found.told_apart and all(standing.kept == 0 for standing in found.standings)


def lucky(trials: int, seed: int, late: bool = False) -> tuple[Ranking, float]:
    story, true = played(trials, seed, late)
    return ranked(story.population), true


def played(trials: int, seed: int, late: bool = False) -> tuple[Story, float]:
    """A run of two equal briefs whose gains are lognormal and become rarer and smaller, and their true gain.

    With `late`, the second begins when half of the trials are done.
    """
    dice, story, true = Random(seed), briefed("bold", "calm", policy="greedy"), 0.0
    for trial in range(trials):
        fading = 1 / (1 + trial / 12)
        chance, size = 0.44 * fading**0.6, 0.02 * fading**0.4
        true += chance * size * math.exp(1.1**2 / 2) / trials
        gain = size * dice.lognormvariate(0, 1.1) if dice.random() < chance else -0.1
        began = not late or trial >= trials // 2
        tries(story, "calm" if began and dice.random() < (0.6 if late else 0.5) else "bold", gain)
    return story, true


@pytest.mark.parametrize(("trials", "late"), [(16, False), (60, True)])
def test_intervals_hold_the_truth_and_equal_briefs_are_seldom_told_apart(trials: int, late: bool) -> None:
    runs = [lucky(trials, seed, late) for seed in range(40)]
    held = [one.low <= true <= one.high for found, true in runs for one in found.standings]
    assert sum(held) >= 0.88 * len(held)
    assert sum(found.told_apart for found, _ in runs) <= 0.1 * len(runs)


def test_answers_that_came_to_nothing_cost_as_much_as_others() -> None:
    story = contest(2, bold=0.1, calm=0.1)
    story.happens(Declined("calm", BASELINE, "nothing new", Thought(400, 40, 1.0)))
    costs = {one.name: (one.tokens, one.cost_usd) for one in ranked(story.population).standings}
    assert costs["calm"] == (330.0, 0.51) and costs["bold"] == (110.0, 0.01)
    assert cost(story.population) == "5 requests, 880 tokens, $1.04"


def test_runs_that_gain_more_do_not_make_their_briefs_look_better() -> None:
    """One run gains ten times what the other does; each tries the common brief and one of its own."""
    rich, poor = briefed("common", "rich", policy="greedy"), briefed("common", "poor", policy="greedy")
    for turn in range(20):
        for story, name, gain in ((rich, "rich", 0.1), (poor, "poor", 0.01)):
            for each in ("common", name):
                tries(story, each, gain if turn % 2 else -0.2)
    found = across(rich, poor)
    assert not found.told_apart and {one.name: one.runs for one in found.standings}["common"] == 2
    gains = [one.gain for one in found.standings]
    assert max(gains) < 1.5 * min(gains)


def test_a_brief_that_does_well_in_one_run_and_badly_in_another_is_known_less_well() -> None:
    """The same gains, here each brief's in a run of its own, there half and half."""
    fickle = across(contest(12, 0.1, -0.1), contest(12, -0.1, 0.1)).standings[0]
    even = across(contest(12, 0.1, 0.1, apart=6), contest(12, 0.1, 0.1, apart=6)).standings[0]
    assert fickle.kept == even.kept == 4 and fickle.trials == even.trials == 24
    assert fickle.high - fickle.low > 1.3 * (even.high - even.low)


def test_models_are_ranked_across_runs_apart_from_the_kind_of_proposer() -> None:
    stories = [Story(policy="greedy"), Story(policy="greedy")]
    for story, minds in zip(stories, [("llm/one", "llm/two"), ("llm/one", "mutate/tpe")], strict=True):
        for mind in minds:
            story.founds(mind[-3:], proposer=mind)
        story.tries(minds[0][-3:], "the baseline", 2.7, keep=True, operator="baseline")
        for mind in minds * 2:
            tries(story, mind[-3:], 0.1, proposer=mind)
    found = {one.of: one for one in rankings_across([story.population for story in stories])}
    assert {one.name: one.runs for one in found["model"].standings} == {"one": 2, "two": 1}
    assert {one.name: one.trials for one in found["proposer"].standings} == {"llm": 6, "mutate/tpe": 2}


def test_one_run_is_ranked_across_as_it_is_alone() -> None:
    population = contest(12, bold=0.1, calm=0.05).population
    alone, together = ranked(population), across_of([population])
    assert alone == together


def test_equal_briefs_of_several_runs_are_seldom_told_apart() -> None:
    told = [across(*(played(20, 3 * seed + run)[0] for run in range(3))).told_apart for seed in range(20)]
    assert sum(told) <= 3


def test_operators_are_ranked_with_a_word_on_their_unequal_chances() -> None:
    story = contest(2, bold=0.1, calm=0.1)
    assert "drought" not in "".join(map(str, standings(story.population)))
    tries(story, "bold", 0.1, "revisit")
    assert "a revisit happens only after a drought" in "".join(map(str, standings(story.population)))
