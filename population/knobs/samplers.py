"""Where two optimisers would look next, told of the lessons that a run has taught so far.

Neither remembers anything between calls: both are rebuilt from the lessons. Places are in strides; NaN means
that the sampler has nothing to say of that axis.
"""

import warnings
from collections.abc import Callable
from typing import Final, TypeAlias

import cmaes  # type: ignore[import-untyped]
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from population.knobs.lessons import Array, Factors, Lessons
from population.knobs.space import Axis

Suggest: TypeAlias = Callable[[Lessons, Factors, tuple[Axis, ...], int, np.random.Generator], Array]

_TPE_TRIALS: Final = 24  # lessons TPE is told of; each costs it time
_TPE_AXES: Final = 5
GENERATION: Final = 8  # lessons that make one generation of the evolution strategy


def tpe(
    lessons: Lessons, learned: Factors, space: tuple[Axis, ...], count: int, random: np.random.Generator
) -> Array:
    """Places [count, d], all the same, from TPE on a few axes within twice the radius."""
    bounds = np.array([axis.bounds for axis in space])
    low = np.maximum(bounds[:, 0], lessons.here - 2 * learned.radius)
    high = np.minimum(bounds[:, 1], lessons.here + 2 * learned.radius)
    chance = learned.weight / learned.weight.sum()
    picked = random.choice(len(space), size=min(len(space), _TPE_AXES), replace=False, p=chance)
    distributions: dict[str, BaseDistribution] = {
        space[i].name: CategoricalDistribution(range(len(space[i].choices)))
        if lessons.kinds[i]
        else FloatDistribution(low[i], high[i])
        for i in picked
    }
    seen = np.clip(lessons.places, low, high)
    seen[:, lessons.kinds] = lessons.places[:, lessons.kinds]
    taught = np.flatnonzero((lessons.moves[:, picked] != 0).any(1))[-_TPE_TRIALS:]
    study = _study(int(random.integers(2**31)))
    study.add_trials(
        optuna.trial.create_trial(
            params={
                space[i].name: int(seen[row, i]) if lessons.kinds[i] else float(seen[row, i]) for i in picked
            },
            distributions=distributions,
            value=float(lessons.effects[row]),
        )
        for row in taught
    )
    params = study.ask(distributions).params
    asked = np.full(len(space), np.nan)
    asked[picked] = [params[space[i].name] for i in picked]
    return np.tile(asked, (count, 1))


def cma(
    lessons: Lessons, learned: Factors, space: tuple[Axis, ...], count: int, random: np.random.Generator
) -> Array:
    """Places [count, d] by steps of the learned size in the shape of those that worked."""
    measured = np.flatnonzero(~lessons.kinds)
    places = np.tile(lessons.here, (count, 1))
    if len(measured) < 2:
        return places + random.normal(size=places.shape) * learned.radius
    strategy = cmaes.CMA(
        np.zeros(len(measured)), 1.0, population_size=GENERATION, seed=int(random.integers(2**31))
    )
    moves = lessons.moves[:, measured]
    useful = np.flatnonzero((moves != 0).any(1))
    useful = useful[len(useful) % GENERATION :]
    for generation in useful.reshape(-1, GENERATION):
        mean = strategy.mean
        strategy.tell(
            [(mean + np.clip(moves[row], -6, 6), float(lessons.effects[row])) for row in generation]
        )
    steps = np.array([strategy.ask() for _ in range(count)]) - strategy.mean
    places[:, measured] += steps / np.maximum(steps.std(0), 1e-9) * learned.radius[measured]
    return places


def _study(seed: int) -> optuna.Study:
    """A study in memory that says nothing, with a TPE sampler that learns from its first trial on."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=1)
        return optuna.create_study(sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
