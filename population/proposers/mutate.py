"""Turns the knobs of a lineage's genome: the plain optimiser among the minds.

A run has 15 to 100 noisy trials and a genome 10 to 25 knobs, too few for any optimiser to start from nothing
in the whole space. So the search starts at the parent, moves few knobs at once, each within a radius learned
from what has worked (`lessons.factors`), lets a sampler suggest values inside that region, and tries the
suggestion that the run's lessons expect most of. Nothing is remembered between calls: sampler and lessons
are rebuilt from the request's history.

- `tpe`: optuna's TPE (Bergstra et al. 2011), told of the effects of earlier moves.
- `cma`: the evolution strategy of the `cmaes` package, which stands behind optuna's CmaEsSampler. Not that
  sampler itself: it keeps its state pickled in the attributes of its own trials, and cannot learn from those
  of another lineage. Here the lessons are replayed as steps from their own parents; what is taken from it is
  the shape of the steps that worked (their covariance), around the parent instead of a wandering mean.
"""

import ast
import warnings
from typing import Final, Literal, TypeAlias

import cmaes  # type: ignore[import-untyped]
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from population.expressions import parse
from population.genome import constants, holds, normal_hash, rewrite
from population.proposers import NoIdea, Proposal, Request
from population.proposers.lessons import Array, Factors, Lessons, expected_gain, factors, learn
from population.proposers.space import Axis, axes
from population.records import Knob

Sampler: TypeAlias = Literal["tpe", "cma"]

_CANDIDATES: Final = 48  # suggestions weighed for one proposal
_TRIES: Final = 12  # of them, best first, that are checked against the genomes tried before
_TPE_TRIALS: Final = 24  # lessons TPE is told of; each costs it time
_TPE_AXES: Final = 5
_LEAST: Final = 0.3  # strides; a smaller step drowns in the noise
_GENERATION: Final = 8  # lessons that make one generation of the evolution strategy


class Mutate:
    """Proposes the parent with a few knobs moved. The same request brings the same reply."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def propose(self, request: Request) -> Proposal | NoIdea:
        try:
            tree = parse(request.genome)
        except SyntaxError as error:
            return NoIdea(f"the parent is no Python: {error.msg}")
        found = constants(request.genome, tree)
        space = axes(found.values())
        if not space:
            return NoIdea("the genome has no knobs to turn")
        values = {name: c.knob for name, c in found.items() if c.knob is not None}
        lessons = learn(request, space, values)
        random = np.random.default_rng(request.seed)
        candidates = _candidates(self.sampler, lessons, factors(lessons), space, random)
        if len(lessons.effects):
            candidates = candidates[np.argsort(-expected_gain(lessons, candidates), kind="stable")]
        return _first_new(request, tree, lessons, space, values, candidates)


def _first_new(
    request: Request,
    tree: ast.Module,
    lessons: Lessons,
    space: tuple[Axis, ...],
    values: dict[str, Knob],
    candidates: Array,
) -> Proposal | NoIdea:
    """The best candidate that changes something, keeps the genome's assertions and was never tried."""
    tries = 0
    for candidate in candidates:
        moved = [i for i in range(len(space)) if candidate[i] != lessons.here[i]]
        changes = {space[i].name: space[i].value(candidate[i]) for i in moved}
        changes = {name: value for name, value in changes.items() if value != values[name]}
        if not changes or not holds(tree, changes):
            continue
        genome = rewrite(request.genome, changes, tree)
        if normal_hash(genome) not in request.hashes:
            return Proposal(genome, _idea(changes, values, lessons, space))
        tries += 1
        if tries == _TRIES:
            break
    return NoIdea("every move of the knobs within reach was tried before or breaks an assertion")


def _candidates(
    sampler: Sampler,
    lessons: Lessons,
    learned: Factors,
    space: tuple[Axis, ...],
    random: np.random.Generator,
) -> Array:
    """Places [m, d] near the parent: half the sampler's suggestions, half plain steps of the learned size."""
    steps = random.normal(size=(_CANDIDATES, len(space))) * learned.radius
    suggested = lessons.here + steps
    if len(lessons.effects) >= _GENERATION // 2:
        half = _CANDIDATES // 2
        suggest = _suggest_tpe if sampler == "tpe" else _suggest_cma
        suggested[:half] = suggest(lessons, learned, space, half, random)
    out = np.tile(lessons.here, (_CANDIDATES, 1))
    mean_extra = 1.0 + min(len(lessons.effects) / 50, 1.0)
    for row, suggestion in zip(out, suggested, strict=True):
        able = np.flatnonzero(np.isfinite(suggestion))
        weight = learned.weight[able]
        count = min(len(able), 1 + int(random.poisson(mean_extra)))
        for i in random.choice(able, size=count, replace=False, p=weight / weight.sum()):
            row[i] = _moved(space[i], lessons.here[i], suggestion[i], random)
    return out


def _moved(axis: Axis, here: float, there: float, random: np.random.Generator) -> float:
    """A coordinate the axis can take, near `there` and, if there is one, not `here`."""
    low, high = axis.bounds
    if axis.scale == "choice":
        others = [place for place in range(len(axis.choices)) if place != here]
        return float(there) if there in others else float(random.choice(others))
    if not low <= there <= high:
        there = 2 * here - there  # the other way
    least = _smallest_step(axis)
    if abs(there - here) < _LEAST:
        there = here + (least if there >= here else -least)
    for reach in (there, here - least, here + least):
        place = axis.coordinate(axis.value(min(max(reach, low), high)))
        if place is not None and axis.value(place) != axis.value(here):
            return place
    return here


def _smallest_step(axis: Axis) -> float:
    """The least step worth a trial, in strides."""
    if axis.step is not None:
        return axis.step / axis.stride
    if axis.scale == "power of two":
        return 1.0
    return 1 / axis.stride if axis.whole and axis.scale == "linear" else 0.5


def _suggest_tpe(
    lessons: Lessons, learned: Factors, space: tuple[Axis, ...], count: int, random: np.random.Generator
) -> Array:
    """Places [count, d] from TPE on a few axes, within twice the radius; other axes are NaN."""
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=int(random.integers(2**31)), multivariate=True, n_startup_trials=1
        )
    study = _study(sampler)
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


def _study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _suggest_cma(
    lessons: Lessons, learned: Factors, space: tuple[Axis, ...], count: int, random: np.random.Generator
) -> Array:
    """Places [count, d] by steps of the learned size in the shape of those that worked."""
    measured = np.flatnonzero(~lessons.kinds)
    places = np.tile(lessons.here, (count, 1))
    if len(measured) < 2:
        return places + random.normal(size=places.shape) * learned.radius
    strategy = cmaes.CMA(
        np.zeros(len(measured)), 1.0, population_size=_GENERATION, seed=int(random.integers(2**31))
    )
    moves = lessons.moves[:, measured]
    useful = np.flatnonzero((moves != 0).any(1))
    useful = useful[len(useful) % _GENERATION :]
    for generation in useful.reshape(-1, _GENERATION):
        mean = strategy.mean
        strategy.tell(
            [(mean + np.clip(moves[row], -6, 6), float(lessons.effects[row])) for row in generation]
        )
    steps = np.array([strategy.ask() for _ in range(count)]) - strategy.mean
    places[:, measured] += steps / np.maximum(steps.std(0), 1e-9) * learned.radius[measured]
    return places


def _idea(
    changes: dict[str, Knob], values: dict[str, Knob], lessons: Lessons, space: tuple[Axis, ...]
) -> str:
    """The moves in words, and what the run's lessons say of them."""
    moves = " and ".join(_words(name, values[name], value) for name, value in changes.items())
    index = {axis.name: i for i, axis in enumerate(space)}
    known = {name: _record(lessons, space[index[name]], index[name], changes[name]) for name in changes}
    records = list(known.values())
    helped = records.count("helped before")
    if 0 < helped < len(records):
        return f"{moves}: {helped} of {len(records)} helped before"
    if len(set(records)) > 1:
        return moves
    both = ("", "both ", "all ")[min(len(records), 3) - 1] if helped else ""
    return f"{moves}: {both}{records[0]}"


def _words(name: str, old: Knob, new: Knob) -> str:
    if isinstance(old, bool | str) or isinstance(new, bool | str):
        return f"set {name} {old} -> {new}"
    return f"{'raise' if new > old else 'lower'} {name} {old} -> {new}"


def _record(lessons: Lessons, axis: Axis, i: int, value: Knob) -> str:
    """How such moves of one axis fared: the same direction, or the same choice."""
    moves = lessons.moves[:, i]
    place = axis.coordinate(value) or 0.0
    if axis.scale == "choice":
        same = (moves != 0) & (lessons.places[:, i] == place)
    else:
        same = moves * (place - lessons.here[i]) > 0
    if not (moves != 0).any():
        return "not tried yet"
    if (lessons.scored & (lessons.effects < 0))[same].any():
        return "helped before"
    return "did not help before" if same.any() else "not tried this way"
