"""What a difference says of a change, and what a run's own differences teach. Negative is better."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.weighing.effects import GRID, Array, Effect, Effects, joint, likelihood, summary

DIFFERENCES = st.floats(-100, 100)
NOISES = st.floats(0.2, 3.0)


def effect(difference: float, sd: float = 1.0, effects: Effects | None = None) -> Effect:
    return summary((effects or Effects.before()).posterior(np.array([difference]), sd)[0])


def taught(differences: Array, sd: float = 1.4) -> Effects:
    return Effects.before().learned(differences, np.full(len(differences), sd))


def drawn(mean: float, count: int, sd: float = 1.4) -> Array:
    """Observed differences of changes that all have one effect."""
    return np.random.default_rng(0).normal(mean, sd, count)


@given(st.lists(DIFFERENCES, min_size=1, max_size=5), NOISES)
def test_a_posterior_is_a_probability_of_every_effect(differences: list[float], sd: float) -> None:
    posterior = Effects.before().posterior(np.array(differences), sd)
    assert posterior.shape == (len(differences), len(GRID))
    assert (posterior >= 0).all() and np.allclose(posterior.sum(1), 1)


def test_no_difference_at_all_is_about_even() -> None:
    assert effect(0.0).p_better == pytest.approx(0.5, abs=0.2)
    assert abs(effect(0.0).mean) < 0.5


@given(DIFFERENCES, st.floats(0.05, 50), NOISES)
def test_the_bigger_the_gain_the_likelier_it_is_one(difference: float, more: float, sd: float) -> None:
    small, big = effect(difference, sd), effect(difference - more, sd)
    # As even as the grid is; and far out among the noisiest, a larger one may as well be an outlier.
    assert big.p_better >= small.p_better - 0.01
    assert big.mean <= small.mean + 1e-6


@given(st.floats(-100, 100), NOISES)
def test_what_is_believed_lies_between_nothing_and_what_was_seen(difference: float, sd: float) -> None:
    found = effect(difference, sd)
    assert abs(found.mean) <= 1.1 * abs(difference) + sd  # the grid is coarse far out
    assert 0 <= found.p_better <= 1 and found.hope >= max(0.0, -found.mean) - 1e-9 and found.sd >= 0


@given(st.floats(-20, -0.5), st.floats(0.3, 1.5), st.floats(1.2, 3.0))
def test_the_noisier_a_gain_the_less_is_believed_of_it(difference: float, sd: float, times: float) -> None:
    assert effect(difference, sd * times).p_better <= effect(difference, sd).p_better + 0.02


@pytest.mark.parametrize("difference", [-60.0, -20.0, -8.0, 20.0, 60.0])
def test_a_difference_far_beyond_the_noise_is_taken_nearly_at_face_value(difference: float) -> None:
    found = effect(difference)
    assert found.mean == pytest.approx(difference, rel=0.15)
    assert found.p_better == pytest.approx(float(difference < 0), abs=0.02)


def test_where_nothing_works_a_run_learns_to_doubt() -> None:
    doubting = taught(drawn(0.0, 60))
    assert effect(-2.0, 1.4, doubting).p_better < effect(-2.0, 1.4).p_better
    assert effect(-2.0, 1.4, doubting).mean > effect(-2.0, 1.4).mean


def test_where_gains_are_common_a_run_learns_to_believe() -> None:
    believing = taught(drawn(-4.0, 60))
    assert effect(-2.0, 1.4, believing).p_better > effect(-2.0, 1.4).p_better
    assert effect(-2.0, 1.4, believing).mean < effect(-2.0, 1.4).mean


@given(st.lists(DIFFERENCES, max_size=30), NOISES)
def test_shares_stay_shares_whatever_is_learned(differences: list[float], sd: float) -> None:
    learned = taught(np.array(differences), sd)
    assert (learned.shares >= 0).all() and learned.shares.sum() == pytest.approx(1)
    assert learned.prior.sum() == pytest.approx(1)


def test_nothing_is_learned_from_nothing() -> None:
    assert np.allclose(taught(np.array([])).prior, Effects.before().prior)


@given(st.floats(-50, 50), NOISES)
def test_a_likelihood_is_highest_where_the_effect_is_what_was_seen(difference: float, sd: float) -> None:
    likely = likelihood(np.array([difference]), sd)[0]
    assert abs(GRID[likely.argmax()] - difference) <= np.gradient(GRID)[likely.argmax()] + sd


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=4))
def test_changes_made_together_are_expected_to_add_up(differences: list[float]) -> None:
    parts = Effects.before().posterior(np.array(differences), 0.5)
    together = joint(parts, Effects.before().prior, 0.0)
    assert together.sum() == pytest.approx(1)
    assert summary(together).mean == pytest.approx(float((parts @ GRID).sum()), abs=0.3, rel=0.1)


def test_the_more_surprise_is_allowed_for_the_less_is_known_of_changes_together() -> None:
    parts = Effects.before().posterior(np.array([-4.0, -4.0]), 0.5)
    sds = [summary(joint(parts, Effects.before().prior, surprise)).sd for surprise in (0.0, 0.2, 0.5)]
    assert sds == sorted(sds) and sds[0] < sds[-1]


@given(st.floats(-130, 130))
def test_the_density_of_a_difference_is_that_of_all_effects_it_may_come_from(difference: float) -> None:
    effects = Effects.before()
    density = np.exp(effects.log_density(np.array([difference])))
    assert density == pytest.approx(likelihood(np.array([difference]), 1.0) @ effects.prior, rel=0.05)


@pytest.mark.parametrize("difference", [-1e9, -1e3, 1e3, 1e9])
def test_no_difference_is_too_large(difference: float) -> None:
    found = effect(difference)
    assert np.isfinite([found.mean, found.sd, found.p_better, found.hope]).all()
    assert found.p_better == pytest.approx(float(difference < 0), abs=1e-6)
    assert np.isfinite(Effects.before().log_density(np.array([difference]))).all()
