"""What a run claims of its best: posteriors at first, and then what nobody picked."""

import pytest

from population.reckoning.claim import claim
from population.records import Adopted, Entry, Founded, Resumed
from population.state import Population, replay
from tests.population.histories import BASE, started
from tests.population.measured import SIGMA, Run


def claimed(run: Run) -> tuple[float, float]:
    """Gain and its deviation in sigmas."""
    found = claim(run.population)
    assert found is not None
    return found.gain / SIGMA, found.sd / SIGMA


def test_nothing_is_claimed_without_scores() -> None:
    assert claim(Population()) is None
    assert claim(replay([Entry(1, 1.0, started())])) is None


def test_a_baseline_that_nothing_beats_gains_nothing() -> None:
    run = Run()
    run.tried(2.0)
    assert claimed(run) == (0.0, 0.0)


def test_what_was_measured_once_claims_less_than_it_scored() -> None:
    run = Run()
    run.tried(-3.0, "advance")
    gain, sd = claimed(run)
    assert 0 < gain < 3 and 0 < sd < 3


def test_what_was_measured_again_claims_what_that_says_and_not_what_it_was_picked_for() -> None:
    run = Run()
    best = run.tried(-9.0, "advance")
    run.measured(best, -5.0), run.measured(best, -5.0), run.measured(1, 0.0)
    found = claim(run.population)
    assert found is not None and found.fresh == 2
    assert found.gain == pytest.approx(5 * SIGMA)
    spread = run.evidence.spread
    assert found.sd == pytest.approx(spread * (1 / 2 + 1 / 2) ** 0.5)


def test_a_repeat_that_led_to_the_verdict_is_not_fresh() -> None:
    run = Run()
    best = run.tried(-4.0, "confirm")
    run.measured(best, -6.0, "advance")
    found = claim(run.population)
    assert found is not None and found.fresh == 0


def test_a_near_miss_that_was_built_on_is_known_by_all_but_its_first_trial() -> None:
    run = Run()
    near = run.tried(-6.0, "confirm")
    run.tell(Adopted("l1", run.commit(near), "to look around"))
    run.measured(near, -2.0)
    found = claim(run.population)
    assert found is not None and found.fresh == 1
    assert found.gain == pytest.approx(2 * SIGMA)


def test_another_day_that_is_worse_for_everyone_is_taken_out_of_the_claim() -> None:
    run = Run()
    best = run.tried(-9.0, "advance")
    run.measured(1, 0.0)
    run.tell(Resumed())
    for _ in range(6):
        run.measured(best, -7.0), run.measured(1, 2.0)
    assert claimed(run)[0] == pytest.approx(9.0, abs=0.7)


def test_a_champion_that_was_lucky_does_not_pass_its_luck_off_as_another_day() -> None:
    run = Run()
    best = run.tried(-6.0, "advance")
    run.tell(Resumed())
    run.measured(best, -2.0), run.measured(1, 0.0)
    assert claimed(run)[0] == pytest.approx(2.0)
    assert run.sigmas(1) == pytest.approx(0.0, abs=0.2)


def test_a_policy_that_keeps_a_better_score_claims_what_is_left_of_it() -> None:
    run = Run("greedy")
    run.tell(Founded("l2", "brief", "scripted", BASE, "asked for"))
    run.tried(-1.0, "advance")
    gain, _ = claimed(run)
    assert 0 < gain < 1
