"""How much of a run is left, and that its last trials are its finals whatever limits it."""

import math

import pytest

from population.deciding.horizon import trials_left
from population.policy import Facts, Rules
from population.promising.finals import planned
from population.records import Assigned, Completed, Ended, Finished, Usage
from tests.population.stories import SIGMA, Story

HOUR_S = 3600.0


def test_a_run_without_limits_has_no_end() -> None:
    story = Story()
    story.trial(1.0)
    assert trials_left(story.population, Rules(), Facts(1e9)) == math.inf


@pytest.mark.parametrize(
    ("elapsed_s", "left"), [(0.0, 360), (10.0, 359), (3590.0, 1), (3591.0, 0), (4000.0, -1)]
)
def test_of_hours_as_many_trials_are_left_as_can_end_within_them(elapsed_s: float, left: int) -> None:
    story = Story()
    assert story.population.run.budget_s == 10.0
    found = trials_left(story.population, Rules(hours=1), Facts(elapsed_s))
    assert found == left or (left < 0 and found < 0)


def test_trials_are_expected_to_take_as_long_as_of_late() -> None:
    story = Story()
    story.tell(Assigned(1, 1, 1, "the baseline"))
    story.tell(Finished(1, Completed(1.0), Usage(1e9, wall_s=600.0)))
    assert trials_left(story.population, Rules(hours=1), Facts(0.0)) == 6


def test_the_nearer_of_two_limits_counts() -> None:
    story = Story()
    story.trial(1.0)
    assert trials_left(story.population, Rules(trials=100, hours=1), Facts(0.0)) == 99
    assert trials_left(story.population, Rules(trials=100, hours=1), Facts(3400.0)) == 20


@pytest.mark.parametrize(
    ("trials", "again"), [(7, 0), (8, 2), (50, 2), (100, 4), (1000, 40), (10**6, 40), (math.inf, 4)]
)
def test_a_run_measures_as_much_again_as_its_length_is_worth(trials: float, again: int) -> None:
    assert planned(trials) == again


def test_the_last_trials_before_the_hours_are_over_measure_the_best_again() -> None:
    story, ended, elapsed_s = Story(1, Rules(lineages=1, hours=1)), None, 0.0
    while ended is None:
        story.thinks()
        decision = story.decide(elapsed_s=elapsed_s)
        if isinstance(decision, Assigned):
            score = 1.0 - 10 * SIGMA * (decision.candidate > 1)
            story.tell(Finished(decision.trial, Completed(score), Usage(1e9, wall_s=300.0)))
            elapsed_s += 300.0
        ended = decision if isinstance(decision, Ended) else None
    assert "within 1 hours" in ended.reason and elapsed_s == HOUR_S
    trials = list(story.population.trials.values())
    assert [(trial.candidate.number, trial.seed) for trial in trials if trial.again] == [(1, 2), (2, 2)]
    assert trials[-1].again
