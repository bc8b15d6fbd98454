"""Scores that can be compared: sessions offset against each other, and the noise of one trial, sigma.

Sigma is learned from commits measured more than once, beginning with what is known of the hardware profile.
Sessions (a resumed run, another day) are offset by as much as the commits measured in several of them tell.
Only repeats are looked at for both, so that a long run costs no more than its repeats. Lower is better.

An offset rests on trials that nobody picked: a commit that was built on for a lucky score would pass its luck
off as a bad day ever after.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from population.state import Population
from population.weighing.impartial import impartial

# Sigma of one trial with a seed of its own: as a share of the score, and how many repeats the prior counts
# for.
_PROFILES: Final = {"h100": (4e-4, 4.0), "gpu": (6e-4, 2.0), "cpu": (6e-3, 4.0)}
_UNKNOWN: Final = (1e-3, 1.0)
_LEAST: Final = 1e-7  # of the score: what repeats that agree exactly still leave
_NOTHING: Final = 1e-12  # the same where the score is 0
_SESSION_SIGMAS: Final = 1.5  # typical offset of a session: 0.52 to 0.58 mbpb where sigma is 0.4


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

    def sigma(self, profile: str, level: float) -> float:
        """Noise of one trial where scores are about `level`.

        The root of the mean variance of repeats within a session, pooled, and of the profile's prior.
        """
        relative, weight = _PROFILES.get(profile, _UNKNOWN)
        usual, least = relative * abs(level), max(_LEAST * abs(level), _NOTHING)
        squares, degrees = 0.0, 0
        for trials in self._repeated:
            for _, together in groupby(trials, key=lambda trial: trial.session):
                scores = [trial.score for trial in together if trial.score is not None]
                mean = sum(scores) / len(scores)
                squares += sum((score - mean) ** 2 for score in scores)
                degrees += len(scores) - 1
        if degrees and squares <= degrees * least**2:
            return least  # a task without noise
        return max(math.sqrt((weight * usual**2 + squares) / (weight + degrees)), least)

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
