"""What a run measures again: the baseline when a session begins, the best before it ends.

The best of many single scores is partly luck, and what a run reports is what is left of it after that. The
baseline's share comes first: it tells the noise of a trial before anything is judged by it, and minds have
the time to think. In a resumed run the best is measured again at once as well, since sessions differ by
more than trials of one session do. And where two scores of one of them contradict each other, a third says
which of them is to be believed.
"""

from math import inf
from typing import Final

from population.evidence import best, weigh
from population.state import Population
from population.weighing.impartial import impartial
from population.weighing.scores import contradict

_SHARE: Final = 0.04  # of a run's trials, half for the baseline and half for the best
_LEAST, _MOST, _SHORTEST = 2, 40, 8
_OPEN: Final = 4  # in a run without an end


def planned(trials: float) -> int:
    """How many of a run's `trials` measure baseline and best again; none in one of less than eight."""
    if trials == inf:
        return _OPEN
    return 0 if trials < _SHORTEST else min(max(_LEAST, round(trials * _SHARE)), _MOST)


def due(population: Population, left: float) -> list[int]:
    """Candidates to measure again before the run ends, once for each time they are named here.

    Those that cannot wait come first; so many trials are `left`.
    """
    found, baseline = best(population), population.baseline
    if found is None or baseline is None:
        return []
    share = planned(population.finished + len(population.running) + left) // 2
    lacks = [population.bases[baseline]] * (share + 1 - _measured(population, baseline)) if share else []
    if found != baseline:
        lacks += [population.bases[found]] * (share - _measured(population, found))
    return lacks


def opening(population: Population, left: float) -> int | None:
    """The candidate that this session measures before all else, until it has; None otherwise."""
    found, baseline = best(population), population.baseline
    if found is None or baseline is None:
        return None
    ends = [found, baseline] if population.session else []
    for commit in ends:
        if not _measured(population, commit):
            return population.bases[commit]
    number = population.bases[baseline]
    return number if number in due(population, left) else None


def torn(population: Population, left: float) -> int | None:
    """Baseline or best, if its two scores contradict each other and there is a trial left to ask a third."""
    found, baseline = best(population), population.baseline
    if found is None or baseline is None or left < 1:
        return None
    ends = (commit for commit in (baseline, found) if _is_torn(population, commit))
    return next((population.bases[commit] for commit in ends), None)


def _is_torn(population: Population, commit: str) -> bool:
    """Whether the scores of a commit contradict each other, in the session in which it has any."""
    trials = population.measured[commit]
    together = {trial.session for trial in trials} == {population.session}
    asked = _under_way(population, commit) > 0
    return together and not asked and contradict(population.scores[commit], weigh(population).sigma)


def _measured(population: Population, commit: str) -> int:
    """Trials of this session, over or under way, that have no part in a commit's being chosen."""
    over = sum(trial.session == population.session for trial in impartial(population, commit))
    return over + _under_way(population, commit)


def _under_way(population: Population, commit: str) -> int:
    """Trials of a commit that have begun and have no outcome yet."""
    return sum(population.trials[number].candidate.commit == commit for number in population.running)
