"""The noise of a trial and the level of a commit, also where some trials are far off."""

import math
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.evidence import weigh
from population.policy import Facts, Rules, decide
from population.records import Assigned
from population.weighing.scores import contradict, location
from tests.population.measured import SIGMA, Run

SCORES = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


def noise(*repeats: float) -> float:
    """Sigma, in sigmas of the prior, after the baseline was measured again: so many sigmas from its first."""
    run = Run()
    for sigmas in repeats:
        run.measured(1, sigmas)
    return weigh(run.population).sigma / SIGMA


def test_repeats_as_far_apart_as_expected_leave_the_noise_as_expected() -> None:
    rng = Random(1)
    repeats = [rng.gauss(0, 1) for _ in range(400)]
    assert noise(*repeats) == pytest.approx(1, abs=0.1)


def test_a_noise_that_is_larger_is_learned() -> None:
    rng = Random(2)
    assert noise(*(rng.gauss(0, 3) for _ in range(200))) == pytest.approx(3, abs=0.4)


@pytest.mark.parametrize("far", [10.0, 25.0, 1000.0])
def test_one_trial_far_off_does_not_make_everything_noise(far: float) -> None:
    assert noise(far) < 1.5
    assert noise(0.5, -0.5, 0.2, far) < 1.5


def test_when_half_of_all_trials_are_far_off_it_is_the_noise() -> None:
    assert noise(*([0.0, 25.0] * 10)) > 10


@given(SCORES, st.floats(0.01, 10))
def test_a_level_lies_within_its_scores_and_moves_with_them(scores: list[float], sigma: float) -> None:
    at = location(scores, sigma)
    assert min(scores) - 1e-9 <= at <= max(scores) + 1e-9
    assert location([score + 7 for score in scores], sigma) == pytest.approx(at + 7, abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_scores_within_the_noise_have_their_mean_for_a_level(scores: list[float]) -> None:
    assert location(scores, 2.0) == pytest.approx(fmean(scores))


def test_a_third_score_shows_which_of_two_was_far_off() -> None:
    assert contradict([1.0, 26.0], 1.0) and not contradict([1.0, 4.0], 1.0)
    assert location([1.0, 26.0, 1.2], 1.0) == pytest.approx(1.2, abs=math.sqrt(3))
    assert not contradict([1.0, 26.0, 1.2], 1.0)


def test_a_baseline_whose_scores_contradict_each_other_is_measured_a_third_time() -> None:
    run = Run()
    run.measured(1, 25.0)
    rules = Rules("promise", lineages=1, trials=50, hours=None, seed=0)
    decision = decide(run.population, rules, Facts(10.0))
    assert isinstance(decision, Assigned) and decision.candidate == 1
    assert "contradict" in decision.reason
    run.measured(1, 0.3)
    assert weigh(run.population).estimates[run.population.baseline or ""].mean < 1 + 2 * SIGMA


def test_what_is_claimed_allows_for_trials_that_are_far_off() -> None:
    run = Run()
    for sigmas in (0.4, -0.6, 25.0, 0.1):
        run.measured(1, sigmas)
    assert run.evidence.sigma < 1.3 * SIGMA < 1.6 * SIGMA < run.evidence.spread < 5 * SIGMA


def test_without_any_far_off_the_spread_is_the_noise() -> None:
    run = Run()
    for sigmas in (0.4, -0.6, 1.1, 0.1):
        run.measured(1, sigmas)
    assert run.evidence.spread == pytest.approx(run.evidence.sigma, rel=0.1)
