"""Simulated nights on several GPUs."""

from benchmarks.fleet import TRIAL_S, night
from benchmarks.worlds.pools import EQUAL, Pool


def test_more_gpus_do_more_trials_and_none_has_two_at_once() -> None:
    one, four = (night(Pool(EQUAL, 1), gpus, 4, 1.0, 1) for gpus in (1, 4))
    assert four.played.trials > 2.5 * one.played.trials
    for gpus, found in ((1, one), (4, four)):
        assert 0.6 * gpus * 3600 < found.worked_s <= gpus * 3600
        assert found.worked_s <= found.played.trials * TRIAL_S


def test_a_night_on_several_gpus_is_the_same_each_time() -> None:
    once, again = (night(Pool(EQUAL, 2), 3, 4, 0.5, 2) for _ in range(2))
    assert (once.played, once.worked_s) == (again.played, again.worked_s)
