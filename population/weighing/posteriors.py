"""A posterior for every commit that was built on, and for the effect of every change measured against one.

What a change did is judged against its base, the tip it was made from, with the shrinkage of effects.py. And
a base is known better the more was tried from it: all its children are, in a way, measurements of it, so that
a tip that was lucky is found out by those that fail to be as good. A normal distribution is kept for each
commit (assumed density filtering, Maybeck 1979), from the baseline along the commits that were built on.

So that ten thousand trials are weighed as fast as one thousand, only the latest are: the effects of older
ones are forgotten, and commits that were built on long ago are known by their own scores alone.
"""

import itertools
import math
from typing import Final

import numpy as np
from msgspec import Struct

from population.records import Candidate
from population.state import Population
from population.weighing.effects import (
    Array,
    Effect,
    Effects,
    joint,
    likelihood,
    moments,
    normal,
    obvious,
    summaries,
    summary,
)
from population.weighing.scores import Scores, location

_SURPRISE: Final = 0.25  # how often changes made together do not add up
_WINDOW: Final = 40  # latest commits that were built on, whose children are judged
_MEMORY: Final = 1000  # latest trials that are judged; of older ones, only what was built on
_CHILDREN: Final = 40  # latest children that a base learns from
_ENOUGH: Final = 3  # children without which a base learns nothing
_FLOOR: Final = 1e-3  # least variance of a commit's mean, in sigmas squared
_SHIFTS: Final[Array] = np.linspace(-3.0, 3.0, 25)


class Estimate(Struct, frozen=True, gc=False):
    """What is known of a commit's score."""

    mean: float
    sd: float
    trials: int


class Tree:
    """The commits that were built on, each with the candidates that were measured against it.

    It is walked from the oldest to the latest; what is left in it are the posteriors of the last walk.
    """

    def __init__(self, population: Population, scores: Scores, sigma: float) -> None:
        self.population, self.sigma = population, sigma
        own = {commit: scores.of(commit) for commit in population.bases}
        self._counts = {commit: len(some) for commit, some in own.items()}
        self._measured = {
            commit: (location(some, sigma) / sigma, 1 / len(some)) for commit, some in own.items()
        }
        self._normals = self._measured  # mean and variance in sigmas, of the commits that were built on
        self._posteriors: dict[int, Array] = {}  # of effects, by candidate
        self._plain: dict[int, Effect] = {}  # effects far beyond the noise, which take no posterior
        self._taught: set[int] = set()  # candidates that a combination told more about than their own scores
        latest = list(population.bases)[-_WINDOW:]
        families = {commit: children for commit in latest if (children := _children(population, commit))}
        parts = {part for children in families.values() for child in children for part in child.combines}
        self._nodes = [_Node(population, *family, parts, scores, sigma) for family in families.items()]

    def walk(self, effects: Effects, learning: bool = False) -> tuple[Array, Array]:
        """Work out all posteriors with a prior over effects; while `learning`, only what others hang on.

        Returns the differences [n] of all candidates to their bases, and the noise [n] of these.
        """
        self._normals = dict(self._measured)
        self._plain.clear()
        seen: list[tuple[Array, Array]] = [(np.zeros(0), np.zeros(0))]
        for node in self._nodes:
            self._normals[node.commit] = self._informed(node, effects)
            seen.append(self._judge(node, effects, node.needed if learning else node.all))
        differences, noises = zip(*seen, strict=True)
        return np.concatenate(differences), np.concatenate(noises)

    def estimates(self) -> dict[str, Estimate]:
        return {
            commit: Estimate(mean * self.sigma, math.sqrt(variance) * self.sigma, self._counts[commit])
            for commit, (mean, variance) in self._normals.items()
        }

    def effects(self) -> dict[int, Effect]:
        """What changes did to the score, a base's in the light of all that was tried from it."""
        if not self._posteriors:
            return {}
        figures = summaries(np.array(list(self._posteriors.values())))
        found = dict(zip(self._posteriors, figures, strict=True)) | self._plain
        for commit, number in self.population.bases.items():
            base = self.population.candidates[number].base
            if number in found and number not in self._taught and base in self._normals:
                (mean, variance), (other, spread) = self._normals[commit], self._normals[base]
                found[number] = normal(mean - other, math.sqrt(variance + spread))
        return found

    def _informed(self, node: "_Node", effects: Effects) -> tuple[float, float]:
        """A node's mean and variance after all that was tried from it and did not advance."""
        mean, variance = self._normals[node.commit]
        if len(node.failed) < _ENOUGH:
            return mean, variance
        shifts = _SHIFTS * math.sqrt(variance)
        apart = node.failed - mean
        weights = effects.log_density(apart[:, None] - shifts).sum(0) - _SHIFTS**2 / 2
        weights = np.exp(weights - weights.max())
        weights /= weights.sum()
        shift = float(weights @ shifts)
        return mean + shift, max(float(weights @ np.square(shifts - shift)), _FLOOR)

    def _judge(self, node: "_Node", effects: Effects, groups: list[list[int]]) -> tuple[Array, Array]:
        """Posteriors of some of a node's children; all differences to it, and their noise, are returned."""
        mean, variance = self._normals[node.commit]
        differences, noises = node.means - mean, np.sqrt(node.variances + variance)
        for group in groups:
            some = [node.children[i] for i in group]
            posteriors = effects.posterior(differences[group], noises[group], self._prior(some, effects))
            self._posteriors.update(zip((child.number for child in some), posteriors, strict=True))
            for i in itertools.compress(group, obvious(differences[group], noises[group])):
                self._plain[node.children[i].number] = normal(float(differences[i]), float(noises[i]))
        for i in node.built:
            self._build(node.children[i], (mean, variance), float(differences[i]), float(noises[i]))
        for i in node.crossed:
            self._teach(node.children[i], float(differences[i]), float(noises[i]), effects)
        return differences, noises

    def _build(self, child: Candidate, base: tuple[float, float], difference: float, noise: float) -> None:
        """A child's mean and variance, for what was tried from it in turn."""
        (mean, variance), effect = base, self._plain.get(child.number)
        effect = effect or summary(self._posteriors[child.number])
        share = variance / noise**2  # of the difference, the base's own uncertainty
        middle = mean + share * difference + (1 - share) * effect.mean
        spread = (1 - share) ** 2 * effect.sd**2 + variance * (1 - share)
        self._normals[child.commit] = middle, max(spread, _FLOOR)

    def _teach(self, child: Candidate, difference: float, noise: float, effects: Effects) -> None:
        """What a combination says of its parts: each has to explain what the others leave."""
        numbers = [number for number in child.combines if number in self._posteriors]
        if not numbers:
            return
        taken = -1 if child.operator == "ablate" else 1
        means, sds = moments(np.array([self._posteriors[number] for number in numbers]))
        left = taken * difference - np.array([_others(means, i) for i in range(len(numbers))])
        spreads = np.array([math.sqrt(noise**2 + _others(sds**2, i)) for i in range(len(numbers))])
        surprise = math.exp(float(effects.log_density(np.array([difference]))[0]))
        told = (1 - _SURPRISE) * likelihood(left, spreads) + _SURPRISE * surprise
        for number, said in zip(numbers, told, strict=True):
            posterior = self._posteriors[number]
            self._posteriors[number] = posterior * said / float(posterior @ said)
            self._plain.pop(number, None)
            self._taught.add(number)

    def _prior(self, children: list[Candidate], effects: Effects) -> Array:
        """[n, G] or [G] what is expected of candidates: of a combination, what its parts have shown."""
        if not any(child.combines for child in children):
            return effects.prior
        return np.array([self._expected(child, effects) for child in children])

    def _expected(self, child: Candidate, effects: Effects) -> Array:
        parts = [self._posteriors[number] for number in child.combines if number in self._posteriors]
        if child.operator == "ablate":
            parts = [part[::-1] for part in parts]
        return joint(np.array(parts), effects.prior, _SURPRISE) if parts else effects.prior


class _Node:
    """A commit that was built on, with the candidates that were measured against it; scores in sigmas."""

    def __init__(
        self,
        population: Population,
        commit: str,
        children: list[Candidate],
        parts: set[int],
        scores: Scores,
        sigma: float,
    ) -> None:
        """`parts` are the candidates that were combined with others."""
        self.commit, self.children = commit, children
        found = [scores.of(child.commit) for child in children]
        self.means: Array = np.array([location(some, sigma) / sigma for some in found])  # [n]
        self.variances: Array = np.array([1 / len(some) for some in found])  # [n] of these
        failed = [i for i, child in enumerate(children) if child.commit not in population.bases]
        self.failed: Array = self.means[failed[-_CHILDREN:]]
        built = [i for i, child in enumerate(children) if child.commit in population.bases]
        self.built = [i for i in built if children[i].commit != commit]  # a baseline can be its own base
        self.crossed = [i for i, child in enumerate(children) if child.combines]
        alone = [i for i, child in enumerate(children) if not child.combines]
        self.all = [group for group in (alone, self.crossed) if group]  # combinations after their parts
        wanted = {*self.built} | {i for i, child in enumerate(children) if child.number in parts}
        self.needed = [some for group in self.all if (some := [i for i in group if i in wanted])]


def _children(population: Population, base: str) -> list[Candidate]:
    """Candidates with a score that were tried from a base: the latest, and all that were built on."""
    recent = len(population.trials) - _MEMORY
    scored = [commit for commit in population.children.get(base, ()) if commit in population.scores]
    numbers = (population.commits[commit] for commit in scored)
    children = (population.candidates[number] for number in numbers)
    return [
        child
        for child in children
        if population.tried[child.number] > recent or child.commit in population.bases
    ]


def _others(values: Array, i: int) -> float:
    """The sum of all values but one."""
    return sum(float(value) for j, value in enumerate(values) if j != i)
