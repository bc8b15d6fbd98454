"""Trainings that can be watched: curves as recorded ones, and trials that are stopped."""

from random import Random

import numpy as np
import polars as pl
import pytest

from benchmarks.play import Arm, Simulated, play
from benchmarks.world import Raced
from benchmarks.worlds import pools
from benchmarks.worlds.raced import BASE, CPU, DRIFT, FLUTTER, KEPT, SLOPE, RacedPool, raced
from benchmarks.worlds.raced_fit import fitted
from population.backend import Trained
from population.knobs.schedules import same_schedules
from population.records import Completed, Stopped
from trainer.curve import PARTS
from trainer.task import Task
from trainer.trial import Order

NIGHT = Arm("promise", "promise", 4, 326.0, think_s=25.0)


def genomes(pool: RacedPool, count: int) -> list[str]:
    random = Random(0)
    return [pool.text(random.sample(range(CPU.ideas), random.randint(1, 4))) for _ in range(count)]


def scored(pool: RacedPool, genome: str, seed: int = 1) -> float:
    outcome = pool.train(genome, seed)
    assert isinstance(outcome, Completed)
    return outcome.score


def order(genome: str, limits: tuple[float | None, ...] = ()) -> Order:
    return Order(1, genome, 1, Task("", "", "score", 326.0, None, "", "cpu", ""), "", "", limits=limits)


def trained(pool: RacedPool, limits: tuple[float | None, ...]) -> Trained:
    machine = Simulated(pool, NIGHT)
    machine.train(order(pool.genome, limits))
    message = machine.wait(1.0)
    assert isinstance(message, Trained)
    return message


def test_a_curve_follows_from_the_world_the_genome_and_the_seed() -> None:
    pool = raced(1)
    curve = pool.curve(pool.genome, 1)
    assert curve == raced(1).curve(pool.genome, 1) and len(curve) == PARTS
    assert curve not in (pool.curve(pool.genome, 2), raced(2).curve(pool.genome, 1))


def test_figures_fitted_to_simulated_trainings_are_those_they_were_simulated_with() -> None:
    pool = raced(0)
    children = genomes(pool, 3000)
    table = pl.DataFrame(
        {
            "run": "run",
            "trial": range(1, len(children) + 2),
            "parent": [None, *(1 for _ in children)],
            "again": False,
            "score": [CPU.baseline, *(scored(pool, genome) for genome in children)],
            "curve": [BASE, *(pool.curve(genome, 1) for genome in children)],
        }
    )
    found = fitted(table)
    assert found.base == pytest.approx(BASE) and found.slope == pytest.approx(SLOPE, abs=0.05)
    # Half of what the children tell besides is taken for that of their parent, which has none.
    assert found.drift * np.sqrt(2) == pytest.approx(DRIFT, abs=0.003)
    assert found.flutter * np.sqrt(2) == pytest.approx(FLUTTER, abs=0.002)
    assert found.kept == pytest.approx(KEPT, abs=0.05)


def test_only_an_idea_about_schedules_changes_them() -> None:
    pool = raced(3)
    for i, idea in enumerate(pool.ideas[:40]):
        assert same_schedules(pool.genome, pool.text((i,))) == (idea.category != "SCHEDULE")


def test_a_trial_beyond_its_limits_ends_there_and_takes_only_the_time_until_then() -> None:
    pool = raced(0)
    quarter = 5
    limits = (None,) * (quarter - 1) + (0.5,)
    stopped, whole = trained(pool, limits).report, trained(pool, ()).report
    assert isinstance(stopped.outcome, Stopped) and stopped.outcome.fraction == quarter / PARTS
    assert stopped.usage.curve == whole.usage.curve[:quarter]
    assert (whole.usage.wall_s, stopped.usage.wall_s) == (326, 18 + 300 / 4)


def test_racing_saves_time_and_a_world_that_cannot_be_watched_has_none() -> None:
    racing, plain = (
        play(raced(0), Arm("", "promise", 4, 326.0, racing=racing), 40, 0, profile="cpu")
        for racing in (True, False)
    )
    assert racing.stopped and racing.saved and plain.stopped == plain.saved == 0
    assert racing.gpu_s is not None and plain.gpu_s is not None and racing.gpu_s < 0.9 * plain.gpu_s
    assert not isinstance(pools.equal(0), Raced) and play(pools.equal(0), NIGHT, 5, 0).raced is None


def test_few_of_those_stopped_are_improvements() -> None:
    nights = [play(raced(seed), NIGHT, 50, seed, profile="cpu") for seed in range(2)]
    stopped, killed = (sum(getattr(night, name) for night in nights) for name in ("stopped", "killed"))
    assert stopped > 30 and killed <= 0.15 * stopped


def test_what_changes_do_on_cpu_is_as_recorded() -> None:
    pool = raced(0)
    truths = sorted(pool.truth(genome) / CPU.baseline - 1 for genome in genomes(pool, 300))
    assert truths[0] < -0.01 and 0.02 < truths[150] < 0.15
