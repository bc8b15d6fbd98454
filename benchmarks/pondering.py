"""A mind that takes its time, in a module of its own so that an actor can import it."""

import time
from random import Random

from population import genome
from population.proposals import Proposal, Request


class Pondering:
    """Thinks for so long and then moves one constant at a time."""

    def __init__(self, think_s: float) -> None:
        self._think_s = think_s

    def propose(self, request: Request) -> Proposal:
        time.sleep(self._think_s)
        rng = Random(request.seed)
        name, value = rng.choice(sorted(genome.knobs(request.genome).items()))
        moved = round(float(value) + rng.gauss(0.0, 1.5), 3)
        return Proposal(genome.rewrite(request.genome, {name: moved}), f"{name} {value} -> {moved}")
