"""What a run's finished trials teach about moving the knobs of one genome.

A lesson is a finished trial of any lineage, taken relative to its own parent: which knobs it moved, and how
its score changed. From these follow how far each knob may be moved and how often it is worth moving
(`factors`), and what a move that nobody has made is likely to bring (`expected_gain`). Places and moves are
in strides. Effects are squashed, since one terrible trial must not outshout ten good ones; lower is better.
"""

import itertools
import math
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from population.knobs.space import Axis
from population.proposals import Request
from population.records import Completed, Knob

Array: TypeAlias = NDArray[np.floating[Any]]

_MEMORY: Final = 60  # lessons that are used, newest last; bounds the time a proposal takes
_HELPED: Final = -0.1  # a squashed effect that counts as success
_LENGTH: Final = 3.0  # strides over which effects are alike
_ADDITIVE: Final = 0.7  # share of an effect's variance that a knob brings by itself
_NOISES: Final = (0.01, 0.1, 0.4)  # variances of noise that are tried, of squashed effects
_FAR: Final = 15.0  # a squashed effect beyond which none is worse: a million times the usual one
_SPREADS: Final = (0.6, 2.0, 6.0)  # variances of effects that are tried


class Lessons(Struct, frozen=True):
    """n lessons on d axes. `kinds` [d] is true for axes without distance."""

    here: Array  # [d] the parent to start from
    kinds: NDArray[np.bool_]
    origins: Array  # [n, d] where each trial's parent was
    places: Array  # [n, d] where the trial was
    effects: Array  # [n] squashed change of score, as bad as the worst for a trial without one
    scored: NDArray[np.bool_]  # [n] whether the trial had a score

    @property
    def moves(self) -> Array:
        return self.places - self.origins


class Factors(Struct, frozen=True):
    """How far to move along each axis, in strides [d], and how readily [d]."""

    radius: Array
    weight: Array


def learn(request: Request, axes: tuple[Axis, ...], values: dict[str, Knob]) -> Lessons:
    """The lessons of a request's history for a parent with these knobs."""
    knobs = {tried.commit: tried.knobs for tried in request.history} | {request.parent: values}
    told = [tried for tried in request.history if tried.parent_score is not None and tried.parent in knobs]
    moved = [tried for tried in told if _differ(axes, tried.knobs, knobs[tried.parent])][-_MEMORY:]
    commits = {request.parent} | {tried.commit for tried in moved} | {tried.parent for tried in moved}
    places = {commit: _place(axes, knobs[commit], values) for commit in commits}
    gains = [
        tried.outcome.score - (tried.parent_score or 0.0)
        if isinstance(tried.outcome, Completed)
        else math.nan
        for tried in moved
    ]
    effects, scored = _squash(np.array(gains, dtype=np.float64))
    shape = (len(moved), len(axes))
    return Lessons(
        places[request.parent],
        np.array([axis.scale == "choice" for axis in axes]),
        np.array([places[tried.parent] for tried in moved]).reshape(shape),
        np.array([places[tried.commit] for tried in moved]).reshape(shape),
        effects,
        scored,
    )


def factors(lessons: Lessons) -> Factors:
    """Radius and weight of each axis, from what has worked.

    Much like the 1/5 success rule, for each axis: a success widens the radius (the more, the farther out it
    lay), about four failures undo that, and a move of many knobs at once teaches little about each.
    """
    radius, weight = np.ones(len(lessons.here)), np.ones(len(lessons.here))
    for move, effect, scored in zip(lessons.moves, lessons.effects, lessons.scored, strict=True):
        moved = np.flatnonzero(move)
        share = 1 / math.sqrt(max(len(moved), 1))
        for axis in moved:
            reach = 1.0 if lessons.kinds[axis] else min(abs(move[axis]) / radius[axis], 1.5)
            if effect < _HELPED:
                radius[axis] *= math.exp(0.5 * reach * share)
                weight[axis] *= 1.25
            else:
                radius[axis] *= math.exp(-(0.14 if scored else 0.28) * min(1.0, 1 / max(reach, 0.3)) * share)
                weight[axis] *= 0.92 ** (share * share)
    return Factors(np.clip(radius, 0.4, 6.0), np.clip(weight, 0.2, 5.0))


def expected_gain(lessons: Lessons, candidates: Array) -> Array:
    """Expected improvement over the parent, for candidates [m, d], in squashed units [m]; 0 or more.

    A Gaussian process over places, seen only through differences between a trial and its parent, so that
    lineages whose code has parted can still teach each other. Noise of a shared parent is shared. The spread
    of effects and of noise maximise the marginal likelihood on a small grid.
    """
    count = len(lessons.effects)
    points, index = np.unique(
        np.vstack([lessons.here[None], lessons.places, lessons.origins]), axis=0, return_inverse=True
    )
    index = index.ravel()
    differences = np.zeros((count, len(points)))
    rows = np.arange(count)
    differences[rows, index[1 : count + 1]] += 1
    differences[rows, index[count + 1 :]] -= 1
    signal = differences @ _alike(lessons, points, points) @ differences.T
    noise = differences @ differences.T
    spread, lower, solved = _fit(signal, noise, lessons.effects)
    to_points = _alike(lessons, candidates, points)
    to_here = to_points[:, index[0]]
    covariance = spread * (to_points - _alike(lessons, lessons.here[None], points)) @ differences.T
    mean = covariance @ solved
    explained = np.linalg.solve(lower, covariance.T) if count else np.zeros((0, len(candidates)))
    deviation = np.sqrt(np.maximum(2 * spread * (1 - to_here) - (explained**2).sum(0), 1e-12))
    ratio = -mean / deviation
    density = np.exp(-0.5 * ratio**2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in ratio])
    gain: Array = deviation * (ratio * below + density)
    return gain


def _fit(signal: Array, noise: Array, effects: Array) -> tuple[float, Array, Array]:
    """Spread of effects, Cholesky factor of the effects' covariance, and its inverse times the effects."""
    fits: list[tuple[float, float, Array, Array]] = []
    for spread, level in itertools.product(_SPREADS, _NOISES):
        lower: Array = np.linalg.cholesky(spread * signal + level * noise + 1e-6 * np.eye(len(effects)))
        white: Array = np.linalg.solve(lower, effects)
        prior = math.log(level / 0.1) ** 2 / 8 + math.log(spread / 2.0) ** 2 / 4
        evidence = -0.5 * float(white @ white) - float(np.log(np.diag(lower)).sum()) - prior
        fits.append((evidence, spread, lower, white))
    _, spread, lower, white = max(fits, key=lambda fit: fit[0])
    solved: Array = np.linalg.solve(lower.T, white)
    return spread, lower, solved


def _alike(lessons: Lessons, left: Array, right: Array) -> Array:
    """Prior correlation of the scores at places left [m, d] and right [n, d]: [m, n], 1 on equal places."""
    apart = (left[:, None, :] - right[None, :, :]) / _LENGTH
    alike = np.exp(-0.5 * apart**2)
    alike[:, :, lessons.kinds] = apart[:, :, lessons.kinds] == 0
    joint: Array = _ADDITIVE * alike.mean(-1) + (1 - _ADDITIVE) * alike.prod(-1)
    return joint


def _squash(gains: Array) -> tuple[Array, NDArray[np.bool_]]:
    scored = np.isfinite(gains)
    if not scored.any():
        return np.full(len(gains), 1.5), scored
    gains = np.clip(gains, -1e100, 1e100)  # so that no sum of them overflows
    usual = max(float(np.median(np.abs(gains[scored]))), 1e-12)
    effects = np.clip(np.arcsinh(gains / usual), -_FAR, _FAR)
    effects[~scored] = max(1.5, float(effects[scored].max()))
    return effects, scored


def _differ(axes: tuple[Axis, ...], one: dict[str, Knob], other: dict[str, Knob]) -> bool:
    return any(one.get(axis.name) != other.get(axis.name) for axis in axes)


def _place(axes: tuple[Axis, ...], knobs: dict[str, Knob], otherwise: dict[str, Knob]) -> Array:
    """Coordinates [d]; where a genome lacks a knob or spells it in another kind, it teaches nothing of it."""
    coordinates = []
    for axis in axes:
        own = otherwise[axis.name]
        place = axis.coordinate(knobs.get(axis.name, own))
        coordinates.append(axis.coordinate(own) if place is None else place)
    return np.array(coordinates, dtype=np.float64)
