"""A landscape to start your own from: `uv run --group bench python benchmarks/arena.py --world FILE`.

Three constants, best at X = 1 and RATE = 0.01; KIND takes some luck. What a world has to have stands in
benchmarks/world.py; who proposes is `Mutate` here, and may be anything with a method `propose`.
"""

import math
from random import Random

from population.genome import knobs
from population.proposals import Proposer
from population.proposers.mutate import Mutate
from population.records import Completed, Crashed, Outcome

GENOME = """\
X = 4.0       # -5 to 5
RATE = 0.5    # 0.001 to 1, log
KIND = "a"    # one of "a", "b", "c"
"""


class Hill:
    genome = GENOME
    briefs = ("go down",)
    sigma = 0.1

    def __init__(self, seed: int) -> None:
        self.seed, self.good = seed, Random(seed).choice("bc")  # another world, another kind that is good

    def proposer(self, brief: str) -> Proposer:
        return Mutate("tpe")

    def truth(self, genome: str) -> float:
        found = knobs(genome)
        x, rate = float(found["X"]), float(found["RATE"])
        return (x - 1) ** 2 + abs(math.log10(rate) + 2) + (found["KIND"] != self.good)

    def train(self, genome: str, seed: int) -> Outcome:
        if float(knobs(genome)["X"]) < -3:
            return Crashed("over the cliff")
        return Completed(self.truth(genome) + Random(f"{self.seed} {seed} {genome}").gauss(0, self.sigma))


def world(seed: int) -> Hill:
    return Hill(seed)
