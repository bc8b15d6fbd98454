"""The H200 world: 14 constants of autoresearch's train.py, scored by a model of thousands of real trials.

    make(file)(seed) -> World

`file` is a parquet table of trials, see h200_model. The genome is those constants with the ranges that the
trials span, and starts from autoresearch's own; the mind of a lineage is `Mutate`, and its brief names the
sampler. The landscape is the same for all seeds: a seed changes only the luck of the trials. Noise is
Student's t with 3 degrees of freedom, as wide as sessions differ in the table, drawn from world, constants
and trial seed. Lower scores are better.
"""

import hashlib
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.world import MakeWorld, World
from benchmarks.worlds.h200_model import NAMES, STEPS, Model, load
from population.genome import Choices, Interval, constants, holds, skeleton
from population.proposals import Proposer
from population.proposers.mutate import SAMPLERS, Mutate
from population.records import Completed, Crashed, Knob, Outcome
from trainer.syntax import parse

GENOME: Final = '''\
"""Constants of a training run on one H200, five minutes long."""

DEPTH = 8                   # layers; 4 to 24
ASPECT_RATIO = 64           # channels a layer, rounded up to whole heads; 32 to 128
HEAD_DIM = 128              # channels a head; 64 to 256, power of two
WINDOW_PATTERN = "SSSL"     # short or long; one of "SSSL", "SSLL", "SLSL", "LSSL", "SSSS", "LLLL"
DEVICE_BATCH_SIZE = 128     # rows of 2048 tokens in one pass; 32 to 256, power of two
TOTAL_BATCH_SIZE = 2**19    # tokens a step; 2**16 to 2**21, power of two
EMBEDDING_LR = 0.6          # 0.01 to 2, log
UNEMBEDDING_LR = 0.004      # 0.0005 to 0.05, log
MATRIX_LR = 0.04            # 0.005 to 0.2, log
SCALAR_LR = 0.5             # 0.05 to 2, log
WEIGHT_DECAY = 0.2          # 0 to 0.5
WARMUP_RATIO = 0.0          # share of the time; 0 to 0.3
WARMDOWN_RATIO = 0.5        # share of the time; 0.1 to 0.8
FINAL_LR_FRAC = 0.0         # of the first learning rate; 0 to 0.2

assert TOTAL_BATCH_SIZE % (DEVICE_BATCH_SIZE * 2048) == 0
'''

_MOST: Final = 10.0  # scales that the noise may reach; the table's own outliers end there


def make(file: Path, cache: Path | None = None, steps: int = STEPS) -> MakeWorld:
    """Worlds over the trials in `file`; h200_model.load says what is kept in `cache`, and the errors."""
    model = load(file, cache, steps)

    def world(seed: int) -> World:
        return H200(model, seed)

    return world


class H200:
    """A world whose landscape was fitted to real trials. A trial out of memory crashes, whatever its seed."""

    genome = GENOME
    briefs = ("tpe", "cma")

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.seed = model, seed
        self._noise = float(model.noise[0])

    @property
    def sigma(self) -> float:
        return self._noise * math.sqrt(3)

    def proposer(self, brief: str) -> Proposer:
        for sampler in SAMPLERS:
            if sampler == brief:
                return Mutate(sampler)
        raise ValueError(f"{brief}: a brief of this world is one of {', '.join(self.briefs)}")

    def train(self, genome: str, seed: int) -> Outcome:
        values, fault = _read(genome)
        if fault:
            return Crashed(fault)
        if self.model.fails(values):
            return Crashed("out of memory")
        return Completed(self.model.score(values) + self._luck(values, seed))

    def truth(self, genome: str) -> float:
        """The score of `genome` without noise; infinity if it has none, since every trial of it crashes."""
        values, fault = _read(genome)
        return math.inf if fault or self.model.fails(values) else self.model.score(values)

    def _luck(self, values: Mapping[str, Knob], seed: int) -> float:
        key = repr((self.seed, seed, *(values[name] for name in NAMES)))
        random = np.random.default_rng(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()))
        return self._noise * float(np.clip(random.standard_t(3), -_MOST, _MOST))


@lru_cache(maxsize=4096)
def _read(genome: str) -> tuple[dict[str, Knob], str]:
    """The constants of a genome, and in one line what is wrong with them, if something is."""
    try:
        tree = skeleton(parse(genome))
        found = constants(genome, tree)
    except SyntaxError as error:
        return {}, f"SyntaxError: {error.msg}"
    values = {name: constant.knob for name, constant in found.items() if constant.knob is not None}
    for name in NAMES:
        if name not in values:
            return {}, f"NameError: name '{name}' is not defined"
        if not _inside(name, values[name]):
            return {}, f"{name} = {values[name]!r} is beyond all trials that are known"
    return values, "" if holds(tree, values) else "AssertionError"


def _inside(name: str, value: Knob) -> bool:
    match _RANGES[name]:
        case Choices(options):
            return value in options
        case Interval(low, high, scale):
            if isinstance(value, bool | str) or not low <= value <= high:
                return False
            return scale != "power of two" or math.log2(value).is_integer()
    raise AssertionError(f"{name} has no range")


_RANGES: Final = {name: constant.range for name, constant in constants(GENOME).items()}
