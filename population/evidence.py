"""What a run's scores say: the noise of a trial, and a posterior for every commit.

A score is a sample. Its noise, sigma, is learned from commits measured more than once, beginning with
what is known of the hardware profile. What a change did is judged against its base, the tip it was made
from, with the shrinkage of effects.py. And a base is known better the more was tried from it: all its
children are, in a way, measurements of it, so that a tip that was lucky is found out by those that fail
to be as good.

A normal distribution is kept for each commit (assumed density filtering, Maybeck 1979), from the baseline
along the commits that advanced. Sessions (a resumed run, another day) are offset against each other by as
much as the commits measured in both of them tell. Lower scores are better.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np
from msgspec import Struct

from population.effects import Array, Effect, Effects, joint, likelihood, normal, seen, summary
from population.records import Candidate
from population.state import Population, Trial

# Sigma of one trial with a seed of its own: as a share of the score, and how many repeats the prior counts
# for.
_PROFILES: Final = {"h100": (4e-4, 4.0), "gpu": (6e-4, 2.0), "cpu": (6e-3, 4.0)}
_UNKNOWN: Final = (1e-3, 1.0)
_LEAST: Final = 1e-7  # of the score: what repeats that agree exactly still leave
_SESSION_SIGMAS: Final = 1.5  # typical offset of a session: 0.52 to 0.58 mbpb where sigma is 0.4
_SURPRISE: Final = 0.25  # how often changes made together do not add up
_WINDOW: Final = 40  # latest commits that advanced, whose posteriors are worked out in full
_CHILDREN: Final = 40  # latest children that a base learns from
_ENOUGH: Final = 3  # children without which a base learns nothing
_FLOOR: Final = 1e-3  # least variance of a commit's mean, in sigmas squared
_SHIFTS: Final[Array] = np.linspace(-3.0, 3.0, 25)


class Estimate(Struct, frozen=True):
    """What is known of a commit's score."""

    mean: float
    sd: float
    trials: int


class Evidence(Struct, frozen=True):
    """All that the scores of a population say, at one moment."""

    sigma: float  # standard deviation of one trial
    effects: dict[int, Effect]  # by candidate that was scored: against its base, in sigmas
    estimates: dict[str, Estimate]  # by commit that advanced, the baseline among them


def weigh(population: Population) -> Evidence:
    """The evidence of a population, remembered until another trial is finished or another commit advances."""
    key = (population.finished, len(population.bases))
    if population.weighed is None or population.weighed[0] != key:
        population.weighed = key, _weigh(population)
    evidence = population.weighed[1]
    assert isinstance(evidence, Evidence)
    return evidence


def better(one: Estimate, other: Estimate) -> float:
    """Probability that `one` has the lower true score."""
    return normal(one.mean - other.mean, math.hypot(one.sd, other.sd)).p_better


def known(population: Population, commit: str) -> float | None:
    """A commit's score: its posterior mean, where it has one, else the mean of its trials."""
    estimate = weigh(population).estimates.get(commit)
    return population.score(commit) if estimate is None else estimate.mean


def best(population: Population) -> str | None:
    """The commit a run would report: the best posterior of all that advanced; of equals the simpler.

    A policy that compares single scores is taken at its word: its best is its best tip.
    """
    if population.started is not None and population.run.policy == "promise":
        estimates = weigh(population).estimates
        ranked = [(estimate.mean, population.complexity(c), c) for c, estimate in estimates.items()]
    else:
        tips = {line.tip: population.score(line.tip) for line in population.lineages.values()}
        ranked = [(score, population.complexity(c), c) for c, score in tips.items() if score is not None]
    return min(ranked)[-1] if ranked else None


def gain(population: Population) -> tuple[float, float] | None:
    """How far below the baseline the best commit is, and the deviation of that; None without scores."""
    found, baseline = best(population), population.baseline
    if found is None or baseline is None or found == baseline:
        return None if found is None else (0.0, 0.0)
    estimates = weigh(population).estimates
    one, other = estimates[baseline], estimates[found]
    return one.mean - other.mean, math.hypot(one.sd, other.sd)


def _weigh(population: Population) -> Evidence:
    scores = _scores(population)
    baseline = population.baseline
    if baseline is None or not scores.get(baseline):
        return Evidence(0.0, {}, {})
    sigma = _sigma(population.run.profile, scores, scores[baseline][0])
    tree = _Tree(population, scores, sigma)
    effects = tree.walk(Effects.before(), learning=True)
    tree.walk(effects, learning=False)
    return Evidence(sigma, tree.effects, tree.estimates)


def _scores(population: Population) -> dict[str, list[float]]:
    """Scores by commit, with the offset of each later session taken out of them."""
    scores: dict[str, list[float]] = defaultdict(list)
    sessions: dict[int, list[Trial]] = defaultdict(list)
    for trial in population.trials.values():
        if trial.score is not None:
            sessions[trial.session].append(trial)
    for trials in sessions.values():
        offset = _offset(trials, scores)
        for trial in trials:
            assert trial.score is not None
            scores[trial.candidate.commit].append(trial.score - offset)
    return scores


def _offset(trials: Iterable[Trial], before: dict[str, list[float]]) -> float:
    """How much higher a session scores than those before it, shrunk toward no difference."""
    pairs = [
        (trial.score - sum(past) / len(past), 1 + 1 / len(past))
        for trial in trials
        if trial.score is not None and (past := before.get(trial.candidate.commit))
    ]
    precision = sum(1 / variance for _, variance in pairs)
    return sum(d / variance for d, variance in pairs) / (precision + _SESSION_SIGMAS**-2)


def _sigma(profile: str, scores: dict[str, list[float]], level: float) -> float:
    """Noise of one trial: the root of the mean variance of repeats, pooled, and of the profile's prior."""
    relative, weight = _PROFILES.get(profile, _UNKNOWN)
    usual, least = relative * abs(level), _LEAST * max(abs(level), 1e-300)
    squares, degrees = 0.0, 0
    for repeats in scores.values():
        if len(repeats) > 1:
            mean = sum(repeats) / len(repeats)
            squares += sum((score - mean) ** 2 for score in repeats)
            degrees += len(repeats) - 1
    if degrees and squares <= degrees * least**2:
        return least  # a task without noise
    return max(math.sqrt((weight * usual**2 + squares) / (weight + degrees)), least)


class _Tree:
    """The commits that advanced, each with the candidates that were measured against it."""

    def __init__(self, population: Population, scores: dict[str, list[float]], sigma: float) -> None:
        self.population, self.scores, self.sigma = population, scores, sigma
        self.nodes = list(population.bases)
        self.recent = set(self.nodes[-_WINDOW:])
        self.children: dict[str, list[Candidate]] = defaultdict(list)
        measured = {trial.candidate.number: trial.candidate for trial in population.trials.values()}
        for candidate in measured.values():
            if candidate.commit in scores and candidate.base in self.recent:
                self.children[candidate.base].append(candidate)
        self.effects: dict[int, Effect] = {}
        self.estimates: dict[str, Estimate] = {}
        self._posteriors: dict[int, Array] = {}
        self._taught: set[int] = set()  # candidates that a combination told more about than their own scores
        self._normals: dict[str, tuple[float, float]] = {}  # mean and variance in sigmas, of nodes

    def walk(self, effects: Effects, learning: bool) -> Effects:
        """Work out all posteriors. Returns the prior over effects, or with `learning` what it becomes."""
        differences: list[Array] = []
        noises: list[Array] = []
        for node in self.nodes:
            self._normals.setdefault(node, self._measured(node))
            children = self.children.get(node, [])
            if children:
                self._normals[node] = self._informed(node, children, effects)
                apart, noise = self._judge(node, children, effects)
                differences.append(apart)
                noises.append(noise)
        for node in self.nodes:
            mean, variance = self._normals[node]
            count = len(self.scores[node])
            self.estimates[node] = Estimate(mean * self.sigma, math.sqrt(variance) * self.sigma, count)
        self._reckon()
        if not learning or not differences:
            return effects
        learned = effects.learned(np.concatenate(differences), np.concatenate(noises))
        self._normals.clear()
        return learned

    def _reckon(self) -> None:
        """What a base did to the score, in the light of all that was tried from it."""
        for commit in self.nodes:
            number = self.population.bases[commit]
            base = self.population.candidates[number].base
            if number in self.effects and number not in self._taught and base in self._normals:
                (mean, variance), (other, spread) = self._normals[commit], self._normals[base]
                self.effects[number] = normal(mean - other, math.sqrt(variance + spread))

    def _mean(self, commit: str) -> float:
        scores = self.scores[commit]
        return sum(scores) / len(scores) / self.sigma

    def _measured(self, commit: str) -> tuple[float, float]:
        return self._mean(commit), 1 / len(self.scores[commit])

    def _informed(self, node: str, children: list[Candidate], effects: Effects) -> tuple[float, float]:
        """A node's mean and variance after all that was tried from it and did not advance."""
        mean, variance = self._normals[node]
        failed = [child for child in children if child.commit not in self.population.bases][-_CHILDREN:]
        if len(failed) < _ENOUGH:
            return mean, variance
        shifts = _SHIFTS * math.sqrt(variance)
        apart = np.array([self._mean(child.commit) for child in failed]) - mean
        weights = effects.log_density(apart[:, None] - shifts).sum(0) - _SHIFTS**2 / 2
        weights = np.exp(weights - weights.max())
        weights /= weights.sum()
        shift = float(weights @ shifts)
        return mean + shift, max(float(weights @ np.square(shifts - shift)), _FLOOR)

    def _judge(self, node: str, children: list[Candidate], effects: Effects) -> tuple[Array, Array]:
        """Posteriors of a node's children; their differences to it and the noise of those are returned."""
        base, variance = self._normals[node]
        differences = np.array([self._mean(child.commit) for child in children]) - base
        noises = np.sqrt(np.array([1 / len(self.scores[child.commit]) for child in children]) + variance)
        for some in _groups([bool(child.combines) for child in children]):
            chosen = [children[i] for i in some]
            prior = np.array([self._prior(child, effects) for child in chosen])
            posteriors = effects.posterior(differences[some], noises[some], prior)
            for i, posterior in zip(some, posteriors, strict=True):
                number, commit = children[i].number, children[i].commit
                self._posteriors[number] = posterior
                effect = self.effects[number] = seen(posterior, float(differences[i]), float(noises[i]))
                if commit in self.population.bases and commit != node:
                    share = variance / noises[i] ** 2  # of the difference, the base's own uncertainty
                    mean = float(base + share * differences[i] + (1 - share) * effect.mean)
                    spread = (1 - share) ** 2 * effect.sd**2 + variance * (1 - share)
                    self._normals[commit] = mean, max(float(spread), _FLOOR)
        for child, difference, noise in zip(children, differences, noises, strict=True):
            if child.combines:
                self._teach(child, float(difference), float(noise), effects)
        return differences, noises

    def _teach(self, child: Candidate, difference: float, noise: float, effects: Effects) -> None:
        """What a combination says of its parts: each has to explain what the others leave."""
        parts = {number: self._posteriors[number] for number in child.combines if number in self._posteriors}
        taken = -1 if child.operator == "ablate" else 1
        summaries = {number: summary(posterior) for number, posterior in parts.items()}
        for number, posterior in parts.items():
            others = [s for other, s in summaries.items() if other != number]
            left = taken * difference - sum(s.mean for s in others)
            spread = math.sqrt(noise**2 + sum(s.sd**2 for s in others))
            told = (1 - _SURPRISE) * likelihood(np.array([left]), spread)[0]
            told += _SURPRISE * math.exp(float(effects.log_density(np.array([difference]))[0]))
            self._posteriors[number] = posterior * told / float(posterior @ told)
            self.effects[number] = summary(self._posteriors[number])
            self._taught.add(number)

    def _prior(self, child: Candidate, effects: Effects) -> Array:
        """What is expected of a candidate: of a combination, what its parts have shown."""
        parts = [self._posteriors[number] for number in child.combines if number in self._posteriors]
        if child.operator == "ablate":
            parts = [part[::-1] for part in parts]
        return joint(np.array(parts), effects.prior, _SURPRISE) if parts else effects.prior


def _groups(late: list[bool]) -> Iterable[list[int]]:
    """Indices of those that depend on none of the others, then of those that may."""
    groups = [i for i, after in enumerate(late) if not after], [i for i, after in enumerate(late) if after]
    return (group for group in groups if group)
