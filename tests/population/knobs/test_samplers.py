"""Both optimisers look where earlier moves have helped, and their suggestions are among the candidates."""

import numpy as np
import pytest

from population.genome import constants
from population.knobs.lessons import Array, Factors, Lessons
from population.knobs.samplers import cma, tpe
from population.knobs.space import axes
from population.proposers.mutate import SAMPLERS, Sampler, candidates

SPACE = axes(constants("X = 0.5  # 0 to 1\nY = 0.5  # 0 to 1\n").values())
FACTORS = Factors(np.full(2, 2.0), np.ones(2))


def taught(moves: Array, effects: Array) -> Lessons:
    """Lessons of moves [n, 2] from the middle of the space."""
    here, count = np.array([4.0, 4.0]), len(moves)
    origins = np.tile(here, (count, 1))
    return Lessons(here, np.zeros(2, bool), origins, origins + moves, effects, np.ones(count, bool))


def ridge(count: int = 40) -> Lessons:
    """What helps is to raise both knobs together; to move them apart is as bad as it is far."""
    moves = np.random.default_rng(0).normal(size=(count, 2)) * 1.5
    return taught(moves, (moves[:, 0] - moves[:, 1]) ** 2 - moves.sum(1))


def test_tpe_looks_where_it_was_good() -> None:
    asked = np.array([tpe(ridge(), FACTORS, SPACE, 1, np.random.default_rng(s))[0] for s in range(12)])
    assert asked.mean() > 4.5 and (abs(asked - 4.0) <= 4.0).all()


def test_cma_steps_along_the_ridge() -> None:
    steps = cma(ridge(), FACTORS, SPACE, 200, np.random.default_rng(1)) - 4.0
    assert np.corrcoef(steps.T)[0, 1] > 0.5
    assert steps.std(0) == pytest.approx(2.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_the_candidates_are_what_the_sampler_suggests(sampler: Sampler) -> None:
    suggested = SAMPLERS[sampler](ridge(), FACTORS, SPACE, 24, np.random.default_rng(7))
    places = candidates(sampler, ridge(), FACTORS, SPACE, np.random.default_rng(7))
    inside = (abs(suggested - 4.0) > 0.5) & (abs(suggested - 4.0) < 3.9)
    moved = (places[:24] != 4.0) & inside
    assert moved.sum() > 5 and abs(places[:24] - suggested)[moved].max() < 0.1  # but for the rounding
    assert len(np.unique(places[24:], axis=0)) > 12  # the others are plain steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_lessons_all_candidates_are_plain_steps_of_few_knobs(sampler: Sampler) -> None:
    none = taught(np.empty((0, 2)), np.empty(0))
    places = candidates(sampler, none, FACTORS, SPACE, np.random.default_rng(1))
    assert np.array_equal(places, candidates("tpe", none, FACTORS, SPACE, np.random.default_rng(1)))
    assert (places != 4.0).any(1).all() and (places == 4.0).any()
