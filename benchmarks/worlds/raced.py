"""Pools of ideas whose trainings can be watched: what one tells on the way, and how much that foretells.

The ideas are those of pools.py, with the sizes that changes have on CPU. The losses of a trial follow the
score that it comes to in the end, its luck included: of trainings of one genome the unlucky ones were behind
from early on. By twentieths of the budget

    log(loss) = log(BASE) + SLOPE * log(score / the first genome's true score) + drift + flutter

where drift keeps the share `KEPT` from one part to the next, and flutter is each part's own. An idea of the
category SCHEDULE changes a schedule, and so is given more patience (see population/knobs/schedules.py).
"""

from collections.abc import Collection
from math import exp, log, sqrt
from random import Random
from typing import Final

from msgspec.structs import replace

from benchmarks.worlds.pools import EQUAL, Pool
from population.records import Completed
from trainer.curve import PARTS, Curve

# Fitted to 135 trainings of ten seconds, 124 of them beside their parents, in two runs of four lineages on
# two shared cores: `python benchmarks/worlds/raced_fit.py`. Losses in nats, the rest in their logarithms.
BASE: Final = (
    5.808, 4.626, 4.086, 3.881, 3.758, 3.600, 3.555, 3.503, 3.431, 3.381,
    3.360, 3.249, 3.233, 3.180, 3.133, 3.145, 3.124, 3.056, 3.085, 3.037,
)  # fmt: skip
SLOPE: Final = (
    0.47, 0.91, 0.82, 0.66, 0.68, 0.70, 0.65, 0.78, 0.70, 0.86,
    0.79, 0.90, 0.87, 0.76, 0.89, 0.86, 1.03, 1.06, 0.93, 1.09,
)  # fmt: skip
DRIFT: Final = (
    0.033, 0.052, 0.034, 0.017, 0.012, 0.012, 0.014, 0.011, 0.021, 0.012,
    0.020, 0.013, 0.015, 0.013, 0.017, 0.020, 0.020, 0.018, 0.017, 0.018,
)  # fmt: skip
FLUTTER: Final = 0.0105
KEPT: Final = 0.76

# Sizes are in thousandths of a bit per byte. Where four lineages do not race, and in percent
#                                            recorded (126 trials)          here (90 trials, 16 pools)
#     scores against their parents', luck
#         included, at 5 10 17 25 50 75 90%  -2.0 -1.1 0.1 1.2 3.1 5.9 10.0  -1.7 -0.7 0.1 1.1 3.2 6.2 10.7
#     lower ones                             17                             16
#     the rule would stop                    60                             56
#     and so save of the time                30                             33
#     and lose of the lower scores           0 (of 21)                      5
# Sigma is 0.8% of the score, between 0.6 and 1.1% of quiet machines. None of the recorded trials crashed.
CPU: Final = replace(
    EQUAL,
    baseline=2.0,
    broken=0.0,
    gains=0.2,
    gain=14.0,
    gain_spread=0.9,
    loss=66.0,
    loss_spread=0.85,
    saturation=100.0,
    insight=0.4,
    sigma=16.0,
)


class RacedPool(Pool):
    """A world of ideas that says how its trainings go (see benchmarks.world.Raced)."""

    def text(self, ideas: Collection[int]) -> str:
        schedule = ", ".join(idea.name for idea in self.ideas if idea.category == "SCHEDULE")
        return f"{super().text(ideas)}schedule = (progress, {schedule})\n"

    def curve(self, genome: str, seed: int) -> Curve:
        """The losses of a trial that has a score; the same for the same genome and seed."""
        outcome = self.train(genome, seed)
        assert isinstance(outcome, Completed), "who has no score has no curve to its end"
        behind, luck = log(outcome.score / self.shape.baseline), Random(f"{self.seed} {seed} {genome} curve")
        drift, losses = luck.gauss(0.0, 1.0), []
        for part in range(PARTS):
            wander = DRIFT[part] * drift + luck.gauss(0.0, FLUTTER)
            losses.append(round(BASE[part] * exp(SLOPE[part] * behind + wander), 5))
            drift = KEPT * drift + sqrt(1 - KEPT**2) * luck.gauss(0.0, 1.0)
        return tuple(losses)


def raced(seed: int) -> RacedPool:
    return RacedPool(CPU, seed)
