"""The control arms, on a hill with an assertion and a cliff."""

import math

import pytest

from benchmarks.optimisers import OPTIMISERS
from population.genome import knobs
from population.proposals import Proposer
from population.proposers.mutate import Mutate
from population.records import Completed, Crashed, Outcome

GENOME = """\
X = 4.0          # -5 to 5
COUNT = 4        # 1 to 12
RATE = 0.5       # 0.001 to 1, log
SIZE = 2**5      # 2**2 to 2**8, power of two
KIND = "plain"   # one of "plain", "good", "bad"
STRIDE = 6       # 2 to 12, step 2
LEFT = 3         # the kernel needs this; fixed
assert SIZE >= COUNT
"""


class Hill:
    """Best at X = 1; X below -3 crashes. It notes all it was sent."""

    genome, briefs, sigma = GENOME, ("tpe",), 0.1

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []

    def proposer(self, brief: str) -> Proposer:
        return Mutate("tpe")

    def train(self, genome: str, seed: int) -> Outcome:
        self.sent.append((genome, seed))
        score = self.truth(genome)
        return Completed(score + 0.1 * math.sin(seed)) if math.isfinite(score) else Crashed("over the cliff")

    def truth(self, genome: str) -> float:
        values = knobs(genome)
        x, rate, kind = float(values["X"]), float(values["RATE"]), values["KIND"]
        return math.inf if x < -3 else (x - 1) ** 2 + abs(math.log10(rate) + 2) + (kind == "bad")


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_first_genome_is_the_first_trial_and_every_trial_counts(name: str) -> None:
    hill = Hill()
    found = OPTIMISERS[name](hill, 12, 0)
    assert hill.sent[0][0] == GENOME and len(hill.sent) == len(found.truths) == 12
    assert len({seed for _, seed in hill.sent}) == 12


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_is_tried_keeps_to_the_ranges_and_the_assertions(name: str) -> None:
    hill = Hill()
    OPTIMISERS[name](hill, 15, 1)
    for values in (knobs(genome) for genome, _ in hill.sent):
        assert -5 <= float(values["X"]) <= 5 and 0.001 <= float(values["RATE"]) <= 1
        assert values["SIZE"] in [2**n for n in range(2, 9)] and int(values["SIZE"]) >= int(values["COUNT"])
        assert values["STRIDE"] in range(2, 13, 2) and values["KIND"] in ("plain", "good", "bad")
        assert isinstance(values["COUNT"], int) and 1 <= values["COUNT"] <= 12 and values["LEFT"] == 3


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_is_reported_is_the_best_observed_and_its_truth(name: str) -> None:
    hill = Hill()
    found = OPTIMISERS[name](hill, 15, 2)
    scored = [(o.score, g) for g, s in tuple(hill.sent) if isinstance(o := hill.train(g, s), Completed)]
    assert found.genome == min(scored)[1] and found.truths[-1] == hill.truth(found.genome)
    assert found.truths[0] == hill.truth(GENOME)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_same_seed_brings_the_same_search(name: str) -> None:
    first, again, other = (OPTIMISERS[name](Hill(), 10, seed) for seed in (3, 3, 4))
    assert first == again != other


@pytest.mark.parametrize("name", OPTIMISERS)
def test_sixty_trials_leave_the_first_genome_behind(name: str) -> None:
    found = OPTIMISERS[name](Hill(), 60, 5)
    assert found.truths[-1] < found.truths[0] / 2
