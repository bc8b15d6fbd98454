"""Lineages' minds as actors; in a cluster they stay where the run is."""

import os
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from population.backend import Answered, Gone, Message
from population.cluster.actors import Thinker
from population.cluster.calls import Call, first_line, last_word, result
from population.lineage import Mind
from population.making.drafting import Answer
from population.proposals import Request

_RAYS_OWN = ("RAY_", "CUDA_VISIBLE_DEVICES", "PYTHONPATH")  # of a worker's environment, set by Ray


class Thinkers:
    """The minds of a run, each an actor. One that dies is built again."""

    def __init__(self, device: str, home: str | None) -> None:
        """`home` is the node of a cluster on which they are to be."""
        self._device, self._home = device, home
        self._bodies: dict[str, Mind] = {}
        self._actors: dict[str, Any] = {}
        self._thinking: dict[Call, str] = {}

    @property
    def calls(self) -> list[Call]:
        """One for each mind that thinks."""
        return [*self._thinking]

    def enrol(self, lineage: str, mind: Mind) -> None:
        self._bodies[lineage] = mind
        self._actors[lineage] = self._built(lineage)

    def think(self, request: Request) -> None:
        call = self._actors[request.lineage].think.remote(request)
        self._thinking[call] = request.lineage

    def thought(self, call: Call) -> Answered | Gone:
        """What the mind said whose call has ended."""
        lineage = self._thinking.pop(call)
        try:
            answer: Answer = result(call)
        except RayError as error:
            ray.kill(self._actors[lineage])
            self._actors[lineage] = self._built(lineage)
            return Gone(lineage, first_line(error))
        return Answered(lineage, answer)

    def last_words(self, why: str) -> list[Message]:
        """What they had to say when Ray died; none of them thinks any more."""
        said = [
            last_word(call, partial(Answered, lineage), Gone(lineage, why))
            for call, lineage in self._thinking.items()
        ]
        self._thinking.clear()
        return said

    def build_again(self) -> None:
        """All of them, for a Ray that was started again."""
        self._actors = {lineage: self._built(lineage) for lineage in self._bodies}

    def _built(self, lineage: str) -> Any:
        where: dict[str, Any] = {}
        told: dict[str, str] = {}
        if self._home is not None:
            where = {"scheduling_strategy": NodeAffinitySchedulingStrategy(self._home, soft=False)}
            told = {name: value for name, value in os.environ.items() if not name.startswith(_RAYS_OWN)}
        body = ray.remote(Thinker).options(num_cpus=0, **where)
        return body.remote(self._bodies[lineage], self._device, told)
