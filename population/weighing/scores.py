"""Scores that can be compared: sessions offset against each other, and the noise of one trial, sigma.

Sigma is learned from commits measured more than once, beginning with what is known of the hardware profile.
Sessions (a resumed run, another day) are offset by as much as the commits measured in several of them tell.
Only repeats are looked at for both, so that a long run costs no more than its repeats. Lower is better.

An offset rests on trials that nobody picked: a commit that was built on for a lucky score would pass its luck
off as a bad day ever after.

Now and then a trial is far off: something else ran on the machine. So what is far beyond the noise counts as
far as `_REACH` and no farther, in sigma and in a mean (Huber 1964, with his proposal 2 for the scale), and
two scores that contradict each other ask for a third. What a run claims in the end has to allow for such a
trial among its own, and takes the whole spread of repeats.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import fmean, median
from typing import Final, TypeAlias

from msgspec import Struct

from population.state import Population, Trial
from population.weighing.impartial import impartial

# Sigma of one trial with a seed of its own: as a share of the score, and how many repeats the prior counts
# for.
_PROFILES: Final = {"h100": (4e-4, 4.0), "gpu": (6e-4, 2.0), "cpu": (6e-3, 4.0)}
_UNKNOWN: Final = (1e-3, 1.0)
_LEAST: Final = 1e-7  # of the score: what repeats that agree exactly still leave
_NOTHING: Final = 1e-12  # the same where the score is 0
_REACH: Final = math.sqrt(3.0)  # sigmas beyond which a deviation counts no farther
_FAR: Final = 5.0  # the same in the whole spread, where only what cannot be noise at all is cut
_CAPPED: Final = 0.858  # mean of a squared normal deviation that is capped so: 3 P(|z| > c) + E[z^2; |z| < c]
_ROUNDS: Final = 5  # of looking for the means and sigma in turn; more change nothing that matters
_CONTRADICTION: Final = 4.0  # standard deviations of their difference at which two scores contradict
_SESSION_SIGMAS: Final = 1.5  # typical offset of a session: 0.52 to 0.58 mbpb where sigma is 0.4


Square: TypeAlias = tuple[float, float]  # and how many degrees of freedom it is worth


class Noise(Struct, frozen=True):
    """Standard deviations of one trial: `sigma` as trials go, `spread` with those that are far off."""

    sigma: float
    spread: float


class Scores:
    """Scores by commit, with the offset of each later session taken out of them."""

    def __init__(self, population: Population) -> None:
        self._population = population
        self._offsets = [0.0] * (population.session + 1)  # by session
        self._repeated = [some for some in population.measured.values() if len(some) > 1]
        if population.session:
            self._compare(population)

    def of(self, commit: str) -> list[float]:
        """All scores of a commit, oldest first; it must have one."""
        scores, trials = self._population.scores[commit], self._population.measured[commit]
        return [score - self._offsets[trial.session] for score, trial in zip(scores, trials, strict=True)]

    def noise(self, profile: str, level: float) -> Noise:
        """Of one trial, where scores are about `level`: what repeats within a session and the profile say."""
        relative, weight = _PROFILES.get(profile, _UNKNOWN)
        usual, least = relative * abs(level), max(_LEAST * abs(level), _NOTHING)
        together = [scores for trials in self._repeated for scores in _by_session(trials)]
        if together and all(max(scores) - min(scores) <= least for scores in together):
            return Noise(least, least)  # a task without noise
        core = usual**2
        squares: list[Square] = []
        for _ in range(_ROUNDS):
            squares = [square for scores in together for square in _squares(scores, math.sqrt(core))]
            core = _core(squares, usual**2, weight)
        whole = _mean([(min(square, _FAR**2 * core), free) for square, free in squares], usual**2, weight)
        return Noise(max(math.sqrt(core), least), max(math.sqrt(max(core, whole)), least))

    def _compare(self, population: Population) -> None:
        """Offset each session by what was measured in it and before, by trials that nobody picked."""
        before: dict[str, list[float]] = defaultdict(list)
        commits = {trials[0].candidate.commit for trials in self._repeated} & population.bases.keys()
        trials = sorted((t for c in commits for t in impartial(population, c)), key=lambda t: t.number)
        for session, together in groupby(trials, key=lambda trial: trial.session):
            scored = [(trial.candidate.commit, trial.score) for trial in together if trial.score is not None]
            if session:
                self._offsets[session] = _offset(scored, before)
            for commit, score in scored:
                before[commit].append(score - self._offsets[session])


def location(scores: Sequence[float], sigma: float) -> float:
    """The mean of a commit's scores, to which those far from the middle are drawn in."""
    if len(scores) < 3:
        return fmean(scores)
    middle, reach = median(scores), _REACH * sigma
    return middle + fmean(max(-reach, min(score - middle, reach)) for score in scores)


def contradict(scores: Sequence[float], sigma: float) -> bool:
    """Whether there are two scores, of which one must be far off, and no third that says which."""
    return len(scores) == 2 and abs(scores[0] - scores[1]) > _CONTRADICTION * math.sqrt(2) * sigma


def _by_session(trials: Iterable[Trial]) -> Iterator[list[float]]:
    """Scores of a commit in each session that has several."""
    for _, together in groupby(trials, key=lambda trial: trial.session):
        scores = [trial.score for trial in together if trial.score is not None]
        if len(scores) > 1:
            yield scores


def _squares(scores: Sequence[float], sigma: float) -> Iterator[Square]:
    """Squared deviations whose mean is the variance."""
    middle, free = location(scores, sigma), 1 - 1 / len(scores)
    for score in scores:
        yield (score - middle) ** 2 / free, free


def _core(squares: Sequence[Square], usual: float, weight: float) -> float:
    """The variance v that is the mean of the squares and the prior when each counts at most `_REACH`^2 v."""
    rest = weight * usual + sum(square * free for square, free in squares)
    among = weight + _CAPPED * sum(free for _, free in squares)
    for square, free in sorted(squares, reverse=True):
        if square <= _REACH**2 * rest / among:
            break
        rest, among = rest - square * free, among - _REACH**2 * free
    return rest / among


def _mean(squares: Sequence[Square], usual: float, weight: float) -> float:
    return (weight * usual + sum(square * free for square, free in squares)) / (
        weight + sum(free for _, free in squares)
    )


def _offset(scored: Iterable[tuple[str, float]], before: Mapping[str, list[float]]) -> float:
    """How much higher a session scores than those before it, shrunk toward no difference.

    `scored` are commits with a score of this session, `before` has theirs of earlier ones.
    """
    pairs = [
        (score - sum(past) / len(past), 1 + 1 / len(past))
        for commit, score in scored
        if (past := before.get(commit))
    ]
    precision = sum(1 / variance for _, variance in pairs)
    return sum(d / variance for d, variance in pairs) / (precision + _SESSION_SIGMAS**-2)
