"""Trials that nobody picked: they say what a commit is worth without the luck it was chosen for.

The best of many scores is partly the luckiest of many. A trial that measures a commit again, once it was
built on, had no part in choosing it; and the baseline is chosen by nobody.
"""

from population.state import Population, Trial


def impartial(population: Population, commit: str) -> list[Trial]:
    """Finished trials of a commit that had no part in its being built on, oldest first; scored or not."""
    trials = population.turns.get(population.commits[commit], ())
    built = 0 if commit == population.baseline else _built_on(population, commit)
    return [trial for trial in trials if trial.outcome is not None and trial.number > built]


def _built_on(population: Population, commit: str) -> int:
    """The trial after which a commit was built on: that it advanced in, or its first."""
    trials = population.turns[population.commits[commit]]
    return next((trial.number for trial in trials if trial.verdict == "advance"), trials[0].number)
