"""The control arms that are no policies: optuna's optimisers and random search on a world's constants.

Each gets what a search gets: the same genome as its first trial, the ranges that stand in its comments, the
same world and number of trials, and for each an observed score or the news that it failed. Settings that
break one of the genome's assertions cost nothing, as no proposer would offer them. Knobs without a stated
range stay as they are. What is reported is the genome with the best observed score; lower is better.

Their settings are those that did best on the H200 world, where failures told as failures beat failures told
as the worst score so far.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler

from benchmarks.world import World
from population.genome import Choices, Constant, Interval, constants, holds, rewrite, skeleton
from population.records import Completed, Knob
from trainer.syntax import parse

Start: TypeAlias = dict[str, int | float | str]  # optuna's parameters of the first genome
MakeSampler: TypeAlias = Callable[[int, Start], BaseSampler]

_PATIENCE: Final = 10_000  # suggestions in a row that break an assertion
_FAILED: Final = optuna.trial.TrialState.FAIL


@dataclass(frozen=True)
class Optimised:
    """`genome` scored best; `truths` are the true scores of what would have been reported after each trial.

    They are infinite as long as every trial failed.
    """

    genome: str
    truths: tuple[float, ...]


def tpe(world: World, trials: int, seed: int) -> Optimised:
    """Tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return _optimise(world, trials, seed, lambda seed, _: TPESampler(n_startup_trials=5, seed=seed))


def cma(world: World, trials: int, seed: int) -> Optimised:
    """CMA-ES from the first genome, with TPE for what is no number.

    Its first step is 0.07 of each range: with optuna's own sixth it does worse, and with 0.05 too, where
    whole numbers hardly move.
    """
    return _optimise(world, trials, seed, _cma_sampler)


def random(world: World, trials: int, seed: int) -> Optimised:
    """The ranges at random, each on its own scale."""
    return _optimise(world, trials, seed, lambda seed, _: RandomSampler(seed))


OPTIMISERS: Final = {"tpe": tpe, "cma": cma, "random": random}


def _cma_sampler(seed: int, start: Start) -> BaseSampler:
    numbers = {name: value for name, value in start.items() if not isinstance(value, str)}
    others = TPESampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # x0 will go one day, and nothing replaces it yet
        return CmaEsSampler(
            x0=numbers, sigma0=0.07, independent_sampler=others, warn_independent_sampling=False, seed=seed
        )


def _optimise(world: World, trials: int, seed: int, sampler: MakeSampler) -> Optimised:
    tree = skeleton(parse(world.genome))
    found = constants(world.genome, tree)
    space = {name: constant for name, constant in found.items() if _turnable(constant)}
    start = {name: _parameter(constant) for name, constant in space.items()}
    study = _study(sampler(seed, start))
    study.enqueue_trial(start)
    best, best_score, truth, truths = world.genome, math.inf, math.inf, []
    for number in range(trials):
        trial, setting = _sound(study, space, lambda values: holds(tree, values))
        genome = rewrite(world.genome, setting, tree)
        outcome = world.train(genome, seed * trials + number)
        if isinstance(outcome, Completed):
            study.tell(trial, outcome.score)
            if outcome.score < best_score:
                best, best_score, truth = genome, outcome.score, world.truth(genome)
        else:
            study.tell(trial, state=_FAILED)
        truths.append(truth)
    return Optimised(best, tuple(truths))


def _study(sampler: BaseSampler) -> optuna.Study:
    """A study in memory that keeps silent."""
    shown = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    optuna.logging.set_verbosity(shown)
    return study


def _sound(
    study: optuna.Study, space: Mapping[str, Constant], holds: Callable[[Mapping[str, Knob]], bool]
) -> tuple[optuna.Trial, dict[str, Knob]]:
    """The next suggestion that breaks no assertion; the study is told of those that do as failures."""
    for _ in range(_PATIENCE):
        trial = study.ask()
        setting = {name: _suggested(trial, constant) for name, constant in space.items()}
        if holds(setting):
            return trial, setting
        study.tell(trial, state=_FAILED)
    raise RuntimeError(f"{_PATIENCE} settings in a row broke an assertion of the genome")


def _turnable(constant: Constant) -> bool:
    number = isinstance(constant.knob, int | float) and not isinstance(constant.knob, bool)
    return isinstance(constant.range, Choices) or (isinstance(constant.range, Interval) and number)


def _parameter(constant: Constant) -> int | float | str:
    """The constant's value as optuna is told of it: the exponent of a power of two."""
    knob = constant.knob
    assert knob is not None
    if isinstance(constant.range, Interval) and constant.range.scale == "power of two":
        return round(math.log2(float(knob)))
    return knob


def _suggested(trial: optuna.Trial, constant: Constant) -> Knob:
    name, space = constant.name, constant.range
    if isinstance(space, Choices):
        chosen = trial.suggest_categorical(name, space.values)
        assert chosen is not None
        return chosen
    assert isinstance(space, Interval)
    low, high, log = space.low, space.high, space.scale == "log"
    if space.scale == "power of two":
        return int(2 ** trial.suggest_int(name, math.ceil(math.log2(low)), math.floor(math.log2(high))))
    if isinstance(constant.knob, int):
        step = 1 if space.step is None else int(space.step)
        return trial.suggest_int(name, math.ceil(low), math.floor(high), step=step, log=log)
    return trial.suggest_float(name, low, high, step=space.step, log=log)
