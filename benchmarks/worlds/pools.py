"""Pools of ideas: landscapes on which policies are compared, shaped like the traces of real searches.

A pool holds `Shape.ideas` ideas, each of one category and each a constant of the genome, True or False. What
they do to the score follows from the set that is in, never from the order they came in:

    score = baseline + losses - sum over categories of saturated(gains of the category)

A few ideas are gains, most are losses, some crash. Kinds:

    equal      four briefs that draw alike
    unequal    four briefs that differ in how readily they propose a gain; the seed says which is best
    null       no idea does anything
    deceptive  half the plain gain; openers, which cost a little and make ideas work that fail without them;
               and dead ends, gains that switch off the others of their category

A mind proposes one idea that is neither in its parent nor tried by anyone before. It has insight, for it
proposes a gain more readily than a loss, and a large one more readily than a small one; and it has hunches,
for when an opener is in the genome it takes up what that may have made possible, tried before or not.

Sizes are in mbpb, 0.001 of the score; of effects, negative is better.
"""

import ast
import re
from collections.abc import Callable, Collection
from functools import cached_property, lru_cache
from math import exp, inf, log1p
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from population.genome import Variants
from population.proposers import NoIdea, Proposal, Reply, Request
from population.records import Completed, Crashed, Outcome

BASELINE: Final = 0.9970  # val_bpb of autoresearch's first genome on an H100, 0.9964 to 0.9980 in seven runs
MBPB: Final = 0.001
CATEGORIES: Final = (
    "ARCHITECTURE", "ATTENTION", "BATCH", "EMBEDDING",
    "INITIALISATION", "OPTIMISER", "REGULARISATION", "SCHEDULE",
)  # fmt: skip


class Shape(Struct, frozen=True):
    """What a pool is drawn from. Sizes are medians of log-normals, or ranges."""

    ideas: int = 160
    broken: float = 0.04  # share that crashes: 0 to 5% of the trials of strong models
    gains: float = 0.17  # share that is better than the baseline
    gain: float = 0.6  # median of the gains, log-normal
    gain_spread: float = 1.1  # of their logarithm
    loss: float = 1.4  # median of the losses, log-normal
    loss_spread: float = 1.2
    saturation: float = 4.0  # gains of a category that are worth 69% of their sum
    insight: tuple[float, ...] = (
        2.0,
        2.0,
        2.0,
        2.0,
    )  # by brief: odds of proposing a gain of 1 mbpb, a loss's being 1
    sigma: float = 0.4  # of one trial
    tail: float = 0.0  # share of trials whose noise is three times as wide
    openers: int = 0
    followers: int = 4  # ideas that an opener makes work
    decoys: int = 4  # ideas that a mind wrongly thinks it makes work
    opener_loss: tuple[float, float] = (0.1, 0.6)
    follower_gain: tuple[float, float] = (0.5, 3.0)
    hunch: float = 8.0  # odds of proposing what an opener in the genome may have made possible
    dead_ends: int = 0  # categories with a gain that switches off the others
    dead_end_gain: tuple[float, float] = (0.8, 1.5)


EQUAL: Final = Shape()
UNEQUAL: Final = replace(EQUAL, insight=(5.0, 2.0, 1.0, 0.5))
NULL: Final = replace(EQUAL, broken=0.0, gains=0.0, loss=0.0)
DECEPTIVE: Final = replace(EQUAL, gain=0.3, openers=10, dead_ends=4)


class Idea(Struct, frozen=True):
    """One constant of the genome. `effect` is in mbpb."""

    name: str
    category: str
    effect: float
    broken: bool = False
    closes: bool = False  # no other gain of its category counts
    opener: int | None = None  # the idea without which it does not work, as far as a mind can guess
    opened: float = 0.0  # its effect with the opener


class Pool:
    """A world of ideas (see benchmarks.world). Everything follows from the shape and the seed."""

    def __init__(self, shape: Shape, seed: int, briefs: tuple[str, ...] | None = None) -> None:
        """With `briefs`, the same world, but only these may be dealt."""
        self.shape, self.seed, self.sigma = shape, seed, shape.sigma * MBPB
        self.ideas = _draw(shape, Random(f"{seed} ideas"))
        insight = Random(f"{seed} briefs").sample(shape.insight, len(shape.insight))
        self.insight = {f"brief {n}": odds for n, odds in enumerate(insight, 1)}
        self.briefs = briefs or tuple(self.insight)
        self.genome = self.text(())
        self.by_words = {words(idea): i for i, idea in enumerate(self.ideas)}
        self._index = {idea.name: i for i, idea in enumerate(self.ideas)}
        self._variants = Variants(ast.parse(self.genome))
        self.truth_of = lru_cache(100_000)(self._truth_of)
        self.ideas_in = lru_cache(10_000)(self._ideas_in)
        self.hash_of = lru_cache(100_000)(self._hash_of)

    @cached_property
    def best_brief(self) -> str:
        """The brief with the most insight; of equals the first."""
        return max(self.insight, key=lambda brief: self.insight[brief])

    def only(self, brief: str) -> "Pool":
        """The same world, in which this brief alone is dealt."""
        return Pool(self.shape, self.seed, (brief,))

    def proposer(self, brief: str) -> "Reader":
        return Reader(self, self.insight[brief])

    def train(self, genome: str, seed: int) -> Outcome:
        truth = self.truth(genome)
        if truth == inf:
            return Crashed("CUDA out of memory")
        luck = Random(f"{self.seed} {seed} {genome}")
        width = 3.0 if luck.random() < self.shape.tail else 1.0
        return Completed(truth + width * luck.gauss(0.0, self.sigma))

    def truth(self, genome: str) -> float:
        """The score without noise; infinite for a genome that crashes."""
        return self.truth_of(self.ideas_in(genome))

    def text(self, ideas: Collection[int]) -> str:
        """The genome with these ideas in, by index."""
        return "".join(f"{idea.name} = {i in ideas}\n" for i, idea in enumerate(self.ideas))

    def _ideas_in(self, genome: str) -> frozenset[int]:
        return frozenset(self._index[name] for name in _IN.findall(genome) if name in self._index)

    def _hash_of(self, ideas: frozenset[int]) -> str:
        return self._variants.normal_hash({self.ideas[i].name: True for i in ideas})

    def _truth_of(self, ideas: frozenset[int]) -> float:
        effects = [(self.ideas[i], self._effect(i, ideas)) for i in ideas]
        if any(idea.broken for idea, _ in effects):
            return inf
        closed = {idea.category for idea, _ in effects if idea.closes}
        gains = dict.fromkeys(CATEGORIES, 0.0)
        total = 0.0
        for idea, effect in sorted(effects, key=lambda pair: pair[0].name):
            if effect > 0:
                total += effect
            elif idea.closes or idea.category not in closed:
                gains[idea.category] -= effect
        total -= sum(saturated(gain, self.shape.saturation) for gain in gains.values())
        return BASELINE + MBPB * total

    def _effect(self, i: int, ideas: Collection[int]) -> float:
        idea = self.ideas[i]
        return idea.opened if idea.opener in ideas else idea.effect


class Reader:
    """The mind of a lineage: it knows the field a little, and reads what every lineage has tried."""

    def __init__(self, pool: Pool, insight: float) -> None:
        self.pool = pool
        self.odds = [insight * -idea.effect if idea.effect < 0 else 1.0 for idea in pool.ideas]

    def propose(self, request: Request) -> Reply:
        parent = self.pool.ideas_in(request.genome)
        odds = self._fresh(parent, request) or dict.fromkeys(set(range(len(self.odds))) - parent, 1.0)
        rng = Random(request.seed)
        while odds:
            drawn = rng.choices(list(odds), list(odds.values()))[0]
            genome = parent | {drawn}
            if self.pool.hash_of(genome) not in request.hashes:
                return Proposal(self.pool.text(genome), words(self.pool.ideas[drawn]))
            del odds[drawn]
        return NoIdea("every idea was tried from here")

    def _fresh(self, parent: frozenset[int], request: Request) -> dict[int, float]:
        """The odds of what nobody tried, and of what only failed without an opener that is in the parent."""
        ideas = self.pool.ideas
        tried: dict[int, bool] = {}  # whether it was with its opener
        for trial in request.history:
            i = self.pool.by_words.get(trial.idea)
            if i is not None:
                opener = ideas[i].opener
                with_it = opener is not None and trial.knobs.get(ideas[opener].name) is True
                tried[i] = tried.get(i, False) or with_it
        odds = {}
        for i, idea in enumerate(ideas):
            if i in parent:
                continue
            if idea.opener in parent and not tried.get(i, False):
                odds[i] = self.odds[i] * self.pool.shape.hunch
            elif i not in tried:
                odds[i] = self.odds[i]
        return odds


def equal(seed: int) -> Pool:
    return Pool(EQUAL, seed)


def unequal(seed: int) -> Pool:
    return Pool(UNEQUAL, seed)


def null(seed: int) -> Pool:
    return Pool(NULL, seed)


def deceptive(seed: int) -> Pool:
    return Pool(DECEPTIVE, seed)


def on_best_brief(make: Callable[[int], Pool]) -> Callable[[int], Pool]:
    """The same worlds, in which only the best brief is dealt: for a search that knew which it is."""
    return lambda seed: (pool := make(seed)).only(pool.best_brief)


def on_random_brief(make: Callable[[int], Pool]) -> Callable[[int], Pool]:
    """The same worlds, in which only one brief is dealt, and the seed says which."""
    return lambda seed: (pool := make(seed)).only(Random(f"{seed} brief").choice(pool.briefs))


def words(idea: Idea) -> str:
    return f"try {idea.name}"


def saturated(gain: float, scale: float) -> float:
    """What `gain` mbpb of one category are worth: all of it while small, its logarithm when large."""
    return scale * log1p(gain / scale)


def _draw(shape: Shape, rng: Random) -> tuple[Idea, ...]:
    ideas = [_plain(shape, i, rng) for i in range(shape.ideas)]
    for category in rng.sample(CATEGORIES, shape.dead_ends):
        i = rng.choice([i for i, idea in enumerate(ideas) if idea.category == category])
        effect = -rng.uniform(*shape.dead_end_gain)
        ideas[i] = replace(ideas[i], effect=effect, broken=False, closes=True)
    losses = [i for i, idea in enumerate(ideas) if idea.effect > 0 and not idea.broken]
    rng.shuffle(losses)
    for _ in range(shape.openers):
        opener = losses.pop()
        ideas[opener] = replace(ideas[opener], effect=rng.uniform(*shape.opener_loss))
        for n in range(shape.followers + shape.decoys):
            i = losses.pop()
            opened = -rng.uniform(*shape.follower_gain) if n < shape.followers else ideas[i].effect
            ideas[i] = replace(ideas[i], opener=opener, opened=opened)
    return tuple(ideas)


def _plain(shape: Shape, i: int, rng: Random) -> Idea:
    category = rng.choice(CATEGORIES)
    kind, size = rng.random(), rng.gauss(0.0, 1.0)
    if kind < shape.gains:
        effect = -shape.gain * exp(shape.gain_spread * size)
    else:
        effect = shape.loss * exp(shape.loss_spread * size)
    return Idea(f"{category}_{i:03d}", category, effect, broken=kind > 1.0 - shape.broken)


_IN: Final = re.compile(r"^(\w+) = True$", re.MULTILINE)
