"""Scores that can be compared: sessions offset against each other, and the noise of one trial, sigma.

Sigma is learned from commits measured more than once, beginning with what is known of the hardware profile.
Sessions (a resumed run, another day) are offset by as much as the commits measured in several of them tell.
Only repeats are looked at for both, so that a long run costs no more than its repeats. Lower is better.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from population.state import Population, Trial

# Sigma of one trial with a seed of its own: as a share of the score, and how many repeats the prior counts
# for.
_PROFILES: Final = {"h100": (4e-4, 4.0), "gpu": (6e-4, 2.0), "cpu": (6e-3, 4.0)}
_UNKNOWN: Final = (1e-3, 1.0)
_LEAST: Final = 1e-7  # of the score: what repeats that agree exactly still leave
_SESSION_SIGMAS: Final = 1.5  # typical offset of a session: 0.52 to 0.58 mbpb where sigma is 0.4


class Scores:
    """Scores by commit, with the offset of each later session taken out of them."""

    def __init__(self, population: Population) -> None:
        self._population = population
        self._offsets = [0.0] * (population.session + 1)  # by session
        self._repeated: dict[str, list[float]] = defaultdict(list)
        repeats = [trial for some in population.measured.values() if len(some) > 1 for trial in some]
        repeats.sort(key=lambda trial: trial.number)
        for session, trials in groupby(repeats, key=lambda trial: trial.session):
            self._take(session, list(trials))

    def of(self, commit: str) -> list[float]:
        """All scores of a commit, oldest first; it must have one."""
        scores, trials = self._population.scores[commit], self._population.measured[commit]
        return [score - self._offsets[trial.session] for score, trial in zip(scores, trials, strict=True)]

    def sigma(self, profile: str, level: float) -> float:
        """Noise of one trial where scores are about `level`.

        The root of the mean variance of repeats, pooled, and of the profile's prior.
        """
        relative, weight = _PROFILES.get(profile, _UNKNOWN)
        usual, least = relative * abs(level), _LEAST * max(abs(level), 1e-300)
        squares, degrees = 0.0, 0
        for repeats in self._repeated.values():
            mean = sum(repeats) / len(repeats)
            squares += sum((score - mean) ** 2 for score in repeats)
            degrees += len(repeats) - 1
        if degrees and squares <= degrees * least**2:
            return least  # a task without noise
        return max(math.sqrt((weight * usual**2 + squares) / (weight + degrees)), least)

    def _take(self, session: int, trials: list[Trial]) -> None:
        """Take in the next session's trials of commits that were measured more than once."""
        offset = self._offsets[session] = _offset(trials, self._repeated)
        for trial in trials:
            assert trial.score is not None
            self._repeated[trial.candidate.commit].append(trial.score - offset)


def _offset(trials: Iterable[Trial], before: Mapping[str, list[float]]) -> float:
    """How much higher a session scores than those before it, shrunk toward no difference."""
    pairs = [
        (trial.score - sum(past) / len(past), 1 + 1 / len(past))
        for trial in trials
        if trial.score is not None and (past := before.get(trial.candidate.commit))
    ]
    precision = sum(1 / variance for _, variance in pairs)
    return sum(d / variance for d, variance in pairs) / (precision + _SESSION_SIGMAS**-2)
