"""Where the time of the GPUs went: every second of it is one of five things.

Training, stopped work (training of a trial that was stopped as hopeless), exam, start-up, idle. A trial's
usage tells of its start-up, training and exam, one after another from `started_at`, when it got its GPU. The
exam of one may overlap what the next does on the same GPU; a second that is two things counts as the first of
them in that order.

Counted is every session of a scheduler, from its first event to its last, with as many GPUs as it had; while
trials are under way, up to the moment the oldest of them was assigned or had its turn, since only then is it
known of every second what it was. A trial that was lost left no word of what it did, so its time is idle,
which is the worst it can have been; so is that of a GPU whose machine is away. Where an older journal does
not say how many GPUs a session had, they are those on which a trial came to its end.
"""

from collections import defaultdict
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from population.records import Stopped
from population.state import Population, Session, Trial

Array: TypeAlias = NDArray[np.floating[Any]]

_TRAINING, _STOPPED, _EXAM, _STARTUP = range(4)  # uses, the dearest first


class Account(Struct, frozen=True):
    """Seconds by what they went to, over `gpus` GPUs (at most, at a time): together all there were."""

    training_s: float = 0.0
    stopped_s: float = 0.0
    exam_s: float = 0.0
    startup_s: float = 0.0
    idle_s: float = 0.0
    gpus: int = 1

    @property
    def all_s(self) -> float:
        return self.training_s + self.stopped_s + self.exam_s + self.startup_s + self.idle_s

    @property
    def duty(self) -> float:
        """The share of all seconds that went into training."""
        return self.share(self.training_s)

    def share(self, seconds: float) -> float:
        """A part of the account, 0 to 1; 0 of nothing."""
        return seconds / self.all_s if self.all_s else 0.0


def account(population: Population) -> Account:
    """The account of a run as far as it is known, in time linear in its trials."""
    used: list[dict[int, list[Trial]]] = [defaultdict(list) for _ in population.sessions]
    for trial in population.trials.values():
        if trial.usage is not None:
            used[trial.session][trial.usage.gpu].append(trial)
    spent, most = np.zeros(5), 1
    for session, on in zip(population.sessions, used, strict=True):
        gpus = max(session.gpus or 1, len(on))
        end_s = _end(population, session, gpus) - session.began_at
        rows = (np.array([_row(trial, session.began_at) for trial in trials]) for trials in on.values())
        busy: Array = sum((_used(some, end_s) for some in rows), np.zeros(4))
        spent += [*busy, max(gpus * end_s - float(busy.sum()), 0.0)]
        most = max(most, gpus)
    training_s, stopped_s, exam_s, startup_s, idle_s = spent.tolist()
    return Account(training_s, stopped_s, exam_s, startup_s, idle_s, most)


def _end(population: Population, session: Session, gpus: int) -> float:
    """Until when it is known what the GPUs of a session did.

    A trial that an earlier scheduler left under way is lost, whether or not that is written down yet. One
    that was assigned ahead of its turn cannot have had the only GPU before the last training was over.
    """
    if session.ended_at is not None:
        return session.ended_at
    trials = population.trials
    under_way = [n for n in population.running if trials[n].session == population.session]
    if not under_way:
        return population.at
    oldest, before = trials[under_way[0]], trials.get(under_way[0] - 1)
    if gpus > 1 or before is None or before.usage is None:
        return oldest.assigned_at
    used = before.usage
    return max(oldest.assigned_at, used.started_at + used.startup_s + used.training_s)


def _row(trial: Trial, since: float) -> tuple[float, ...]:
    """When a trial got its GPU, how long each thing took, and what its training counts as."""
    usage, stopped = trial.usage, isinstance(trial.outcome, Stopped)
    assert usage is not None
    start_s = usage.started_at - since
    return start_s, usage.startup_s, usage.training_s, usage.exam_s, _STOPPED if stopped else _TRAINING


def _used(rows: Array, end_s: float) -> Array:
    """[4] seconds of one GPU by use, up to `end_s`, from the rows [n, 5] of its trials."""
    times = np.clip(np.cumsum(rows[:, :4], axis=1), 0.0, end_s)  # [n, 4]
    starts, ends = times[:, :3].ravel(), times[:, 1:].ravel()
    uses = np.stack([np.full(len(rows), _STARTUP), rows[:, 4], np.full(len(rows), _EXAM)], axis=1).ravel()
    order = np.argsort(starts, kind="stable")
    starts, ends, uses = starts[order], ends[order], uses[order]
    within = [_covered(starts[uses <= use], ends[uses <= use]) for use in range(4)]
    return np.maximum(np.diff(within, prepend=0.0), 0.0)


def _covered(starts: Array, ends: Array) -> float:
    """Seconds that lie in at least one of some spans [n], the earliest first."""
    reached = np.maximum.accumulate(np.concatenate([[0.0], ends]))[:-1]
    return float(np.maximum(ends - np.maximum(starts, reached), 0.0).sum())
