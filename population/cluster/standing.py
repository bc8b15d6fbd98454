"""Where running trials stand, as of the last time they were asked.

Nobody waits for a machine that does not answer.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray
from msgspec.structs import replace
from ray.exceptions import RayError

from population.cluster.calls import Call
from trainer.outcome import Progress


class Standing:
    """What trainers say of the trials they have."""

    def __init__(self) -> None:
        self._asked: dict[Call, int] = {}  # trials
        self._progress: dict[int, Progress] = {}

    def of(self, running: Mapping[int, tuple[int, Any]]) -> Mapping[int, Progress]:
        """Of these trials, with their places and trainers, and ask again."""
        for call in self._answered():
            trial = self._asked.pop(call)
            with suppress(RayError):  # the call of the trial itself will tell
                if (progress := ray.get(call)) is not None and trial in running:
                    self._progress[trial] = replace(progress, gpu=running[trial][0])
        for trial in running.keys() - self._asked.values():
            self._asked[running[trial][1].progress.remote()] = trial
        self._progress = {trial: self._progress[trial] for trial in running if trial in self._progress}
        return self._progress

    def forget(self) -> None:
        """All that was asked: Ray has died, and nobody will answer."""
        self._asked.clear()

    def _answered(self) -> list[Call]:
        if not self._asked:
            return []
        return ray.wait([*self._asked], num_returns=len(self._asked), timeout=0)[0]
