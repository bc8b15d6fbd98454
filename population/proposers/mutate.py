"""Turns the knobs of a lineage's genome: the plain optimiser among the minds.

A run has 15 to 100 noisy trials and a genome 10 to 25 knobs, too few for any optimiser to start from nothing
in the whole space. So the search starts at the parent, moves few knobs at once, each within a radius learned
from what has worked (`lessons.factors`), lets a sampler suggest values inside that region, and tries the
suggestion that the run's lessons expect most of. Where all of these were tried before it looks farther, in
the end anywhere, and says that it has no idea when nothing is left: in a space of up to some thousand genomes
that is literally so. Nothing is remembered between calls: sampler and lessons are rebuilt from the request's
history.

- `tpe`: optuna's TPE (Bergstra et al. 2011), told of the effects of earlier moves.
- `cma`: the evolution strategy of the `cmaes` package, which stands behind optuna's CmaEsSampler. Not that
  sampler itself: it keeps its state pickled in the attributes of its own trials, and cannot learn from those
  of another lineage. Here the lessons are replayed as steps from their own parents; what is taken from it is
  the shape of the steps that worked (their covariance), around the parent instead of a wandering mean.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal, TypeAlias

import numpy as np

from population.genome import Variants, constants, holds, rewrite, skeleton
from population.knobs.lessons import Array, Factors, Lessons, expected_gain, factors, learn
from population.knobs.samplers import GENERATION, Suggest, cma, tpe
from population.knobs.space import Axis, axes
from population.proposals import NoIdea, Proposal, Request
from population.records import Knob
from trainer.syntax import parse

Sampler: TypeAlias = Literal["tpe", "cma"]
Setting: TypeAlias = dict[str, Knob]  # the knobs that a candidate moves, with their new values

SAMPLERS: Final[dict[Sampler, Suggest]] = {"tpe": tpe, "cma": cma}
_CANDIDATES: Final = 48  # settings weighed for one proposal
_REACHES: Final = (1.0, 2.5, 6.0)  # times the learned radius, in turn
_ANYWHERE: Final = 2048  # settings looked at when all nearer ones were tried; bounds a proposal's time
_LEAST: Final = 0.3  # strides; a smaller step drowns in the noise


class Mutate:
    """Proposes the parent with a few knobs moved. The same request brings the same reply."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def propose(self, request: Request) -> Proposal | NoIdea:
        try:
            tree = parse(request.genome)
            variants = Variants(tree)
        except SyntaxError as error:
            return NoIdea(f"the parent is no Python: {error.msg}")
        tree = skeleton(tree)
        found = constants(request.genome, tree)
        space = axes(found.values())
        if not space:
            return NoIdea("the genome has no knobs to turn")
        values = {name: c.knob for name, c in found.items() if c.knob is not None}
        lessons = learn(request, space, values)
        random = np.random.default_rng(request.seed)
        for settings in _settings(self.sampler, lessons, space, values, random):
            new = (s for s in settings if s and variants.normal_hash(s) not in request.hashes)
            able = list(islice((setting for setting in new if holds(tree, setting)), _CANDIDATES))
            if able:
                best = _best(able, lessons, space)
                idea = _idea(best, values, lessons, space)
                return Proposal(rewrite(request.genome, best, tree), idea)
        return NoIdea("every setting of the knobs was tried before or breaks an assertion")


def _best(settings: list[Setting], lessons: Lessons, space: tuple[Axis, ...]) -> Setting:
    """The setting that the lessons expect most of; the first if there are none."""
    if not len(lessons.effects):
        return settings[0]
    places = np.tile(lessons.here, (len(settings), 1))
    for place, setting in zip(places, settings, strict=True):
        for i, axis in enumerate(space):
            if axis.name in setting:
                place[i] = axis.coordinate(setting[axis.name])
    return settings[int(np.argmax(expected_gain(lessons, places)))]


def _settings(
    sampler: Sampler,
    lessons: Lessons,
    space: tuple[Axis, ...],
    values: Setting,
    random: np.random.Generator,
) -> Iterator[Iterator[Setting]]:
    """Settings to choose from, farther and farther from the parent."""
    learned = factors(lessons)
    for reach in _REACHES:
        places = candidates(sampler, lessons, Factors(learned.radius * reach, learned.weight), space, random)
        yield (_changes(place, lessons, space, values) for place in places)
    yield anywhere(space, values, random)


def _changes(place: Array, lessons: Lessons, space: tuple[Axis, ...], values: Setting) -> Setting:
    moved = (i for i in range(len(space)) if place[i] != lessons.here[i])
    changes = {space[i].name: space[i].value(place[i]) for i in moved}
    return {name: value for name, value in changes.items() if value != values[name]}


def anywhere(space: tuple[Axis, ...], values: Setting, random: np.random.Generator) -> Iterator[Setting]:
    """All settings of the knobs in random order, if there are not too many; else as many drawn from all."""
    options = [_options(axis, values[axis.name]) for axis in space]
    count = math.prod(map(len, options)) if all(options) else math.inf
    if count <= _ANYWHERE:
        for number in random.permutation(int(count)):
            indices = np.unravel_index(number, [len(values) for values in options])
            chosen = [values[i] for values, i in zip(options, indices, strict=True)]
            yield _differing(space, values, chosen)
    else:
        for _ in range(_ANYWHERE):
            chosen = [axis.value(random.uniform(*axis.bounds), finer=2) for axis in space]
            yield _differing(space, values, chosen)


def _options(axis: Axis, present: Knob) -> list[Knob]:
    """The axis's values and the present one; none if they are too many."""
    listed = axis.values(_ANYWHERE) or ()
    return [*listed, *([] if present in listed else [present])] if listed else []


def _differing(space: tuple[Axis, ...], values: Setting, chosen: list[Knob]) -> Setting:
    pairs = zip(space, chosen, strict=True)
    return {axis.name: value for axis, value in pairs if value != values[axis.name]}


def candidates(
    sampler: Sampler,
    lessons: Lessons,
    learned: Factors,
    space: tuple[Axis, ...],
    random: np.random.Generator,
) -> Array:
    """Places [m, d] near the parent: half the sampler's suggestions, half plain steps of the learned size.

    While there are few lessons all are plain steps. Each place is the parent's but for a few axes.
    """
    half = _CANDIDATES // 2 if len(lessons.effects) >= GENERATION // 2 else 0
    suggested = (
        SAMPLERS[sampler](lessons, learned, space, half, random) if half else np.empty((0, len(space)))
    )
    steps = random.normal(size=(_CANDIDATES - half, len(space))) * learned.radius
    out = np.tile(lessons.here, (_CANDIDATES, 1))
    mean_extra = 1.0 + min(len(lessons.effects) / 50, 1.0)
    for row, suggestion in zip(out, np.vstack([suggested, lessons.here + steps]), strict=True):
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
        place = axis.coordinate(axis.value(reach))
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


def _idea(setting: Setting, values: Setting, lessons: Lessons, space: tuple[Axis, ...]) -> str:
    """The moves in words, and how many of their kind helped before if any did."""
    moves = ", ".join(_words(name, values[name], value) for name, value in setting.items())
    helped = sum(_helped(lessons, axis, i, setting) for i, axis in enumerate(space))
    if helped == 0:
        return moves
    if helped < len(setting):
        return f"{moves}: {helped} of {len(setting)} helped before"
    return f"{moves}: {('', 'both ', 'all ')[min(helped, 3) - 1]}helped before"


def _words(name: str, old: Knob, new: Knob) -> str:
    if isinstance(old, bool | str) or isinstance(new, bool | str):
        return f"set {name} {old} -> {new}"
    return f"{'raise' if new > old else 'lower'} {name} {old} -> {new}"


def _helped(lessons: Lessons, axis: Axis, i: int, setting: Setting) -> bool:
    """Whether a trial that moved this axis the same way, or to the same choice, beat its parent."""
    place = axis.coordinate(setting[axis.name]) if axis.name in setting else None
    if place is None:
        return False
    moves = lessons.moves[:, i]
    if axis.scale == "choice":
        same = (moves != 0) & (lessons.places[:, i] == place)
    else:
        same = moves * (place - lessons.here[i]) > 0
    return bool((lessons.scored & (lessons.effects < 0))[same].any())
