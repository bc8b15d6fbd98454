"""Pools of ideas: landscapes on which policies are compared, shaped like the traces of real searches.

A pool holds some ideas, each of one category and each a constant of the genome, True or False. What they do
to the score follows from the set that is in, never from the order they came in:

    score = baseline + losses - sum over categories of saturated(gains of the category)

A few ideas are gains, most are losses, some crash. There are four kinds of pool:

    equal      four briefs that lead to the same ideas
    unequal    four briefs, of which one leads to more gains than the others; the seed says which
    null       no idea does anything
    deceptive  a third of the plain gains; combinations, each of an opener that is a small loss by itself
               and of ideas that fail without it; and dead ends, gains that switch off the others of their
               category. These sizes are chosen, for no trace says what was never found

A mind proposes one idea that is neither in its parent nor tried by anyone before. It has insight, for it
proposes a gain more readily than a loss, and a large one more readily than a small one. It has hunches: when
an opener is in the genome it takes up what that may have made possible, tried before or not. Half of its
hunches are wrong, and it has none of which ideas are openers. It never takes an idea out.

Sizes are in mbpb, 0.001 of the score; of effects, negative is better.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection
from functools import cached_property, lru_cache
from math import exp, inf, log1p, sqrt
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from population.genome import Variants
from population.proposals import NoIdea, Proposal, Reply, Request
from population.records import Completed, Crashed, Outcome
from trainer.syntax import parse

BASELINE: Final = 0.9970  # val_bpb of autoresearch's first genome: 0.9964 to 0.9980 in seven runs on an H100
MBPB: Final = 0.001
CATEGORIES: Final = (
    "ARCHITECTURE", "ATTENTION", "BATCH", "EMBEDDING",
    "INITIALISATION", "OPTIMISER", "REGULARISATION", "SCHEDULE",
)  # fmt: skip


class Shape(Struct, frozen=True):
    """What a pool is drawn from.

    Gains, losses, saturation, insight and reach were fitted together: to six traces of agents at five minutes
    a trial on an H100 (642 trials), and to the gains of greedy lines on earlier pools of this kind. In 100
    trials, mean of 200 pools:

                                                 aimed at                    one greedy line here
    new bests in trials 2-10, 11-25, 26-50, %    44 23 15                    39 29 18
        and in 51-75, 76-100                     9 10                        10 5
    gains, at 10 25 50 75 90%                    0.06 0.23 0.45 0.99 2.34    0.08 0.21 0.50 1.05 1.94
    loss, at 5 10 25% of all trials              -0.88 -0.33 0.28            -0.86 -0.36 0.34
        and at 50 75 90%                         0.99 2.47 6.04              1.15 2.51 5.74
    share of the gain by trial 25                65%                         66%
    share of its top tenth                       50%                         40%
    true gain                                    12.4                        12.3
        on a random brief of unequal ones        10.5                        10.6
        on the best of unequal ones              17.1                        16.8
    """

    baseline: float = BASELINE
    ideas: int = 160  # so that 100 trials neither exhaust the pool nor leave most of its gains unseen
    broken: float = 0.04  # share that crashes; strong models have 0 to 5% of their trials crash
    gains: float = 0.28  # share that is better than the baseline
    gain: float = 0.32  # median of a gain, which is log-normal
    gain_spread: float = 1.35  # of its logarithm
    loss: float = 1.05  # median of a loss, which is log-normal
    loss_spread: float = 1.45  # of its logarithm
    saturation: float = 5.0  # gains of a category that together are worth 69% of their sum
    insight: float = 4.5  # odds of proposing a gain of 1 mbpb, those of a loss being 1
    reach: tuple[float, ...] = (0.65, 0.65, 0.65, 0.65)  # by brief: share of the gains it can lead to
    sigma: float = 0.4  # of a trial: between 0.14 for the same seed and 0.7 for another one
    tail: float = 0.0  # share of the trials that have three times that
    openers: int = 0
    opener_loss: tuple[float, float] = (0.1, 0.6)  # by itself: a near miss, as a quarter of real trials are
    followers: tuple[int, int] = (2, 4)  # ideas that it makes work
    combination: tuple[float, float] = (4.0, 8.0)  # gain of its followers together
    hunch: float = 8.0  # how many times as readily what an opener may have made possible is proposed
    dead_ends: int = 0  # categories, richest first, that have a gain which switches off the others
    dead_end_gain: tuple[float, float] = (1.0, 2.0)  # of the top quarter: found early


EQUAL: Final = Shape()
UNEQUAL: Final = replace(EQUAL, reach=(0.95, 0.5, 0.4, 0.25))
NULL: Final = replace(EQUAL, broken=0.0, gains=0.0, loss=0.0)
_NOISY: Final = 1.2  # mbpb: three times what a policy expects of the hardware
DECEPTIVE: Final = replace(EQUAL, gains=0.1, openers=12, dead_ends=3)


class Idea(Struct, frozen=True):
    """One constant of the genome. `effect` is in mbpb."""

    name: str
    category: str
    effect: float
    odds: float = 1.0  # of being proposed by a mind that can think of it
    depth: float = 0.0  # a brief leads to it if it reaches further
    broken: bool = False
    closes: bool = False  # no other gain of its category counts
    opener: int | None = None  # index of the idea that it seems to need
    opened: float = 0.0  # its effect with the opener

    @property
    def words(self) -> str:
        return f"try {self.name}"


class Pool:
    """A world of ideas (see benchmarks.world). Everything follows from the shape and the seed."""

    def __init__(self, shape: Shape, seed: int, briefs: tuple[str, ...] = ()) -> None:
        """With `briefs`, the same world, in which only these are dealt."""
        self.shape, self.seed, self.sigma = shape, seed, shape.sigma * MBPB
        self.ideas = _draw(shape, Random(f"{seed} ideas"))
        shares = Random(f"{seed} briefs").sample(shape.reach, len(shape.reach))
        self.reach = {f"brief {n}": share for n, share in enumerate(shares, 1)}
        self.briefs = briefs or tuple(self.reach)
        self.genome = self.text(())
        self.by_words = {idea.words: i for i, idea in enumerate(self.ideas)}
        self._index = {idea.name: i for i, idea in enumerate(self.ideas)}
        self._variants = Variants(parse(self.genome))
        self.ideas_in = lru_cache(10_000)(self._ideas_in)
        self.truth_of = lru_cache(100_000)(self._truth_of)
        self.hash_of = lru_cache(100_000)(self._hash_of)

    @cached_property
    def best_brief(self) -> str:
        """The brief that reaches furthest; of equals the first."""
        return max(self.reach, key=lambda brief: self.reach[brief])

    def only(self, brief: str) -> "Pool":
        """The same world, in which this brief alone is dealt."""
        return Pool(self.shape, self.seed, (brief,))

    def proposer(self, brief: str) -> "Thinker":
        return Thinker(self, self.reach[brief])

    def train(self, genome: str, seed: int) -> Outcome:
        truth = self.truth(genome)
        if truth == inf:
            return Crashed("out of memory")
        luck = Random(f"{self.seed} {seed} {genome}")
        width = 3.0 if luck.random() < self.shape.tail else 1.0
        return Completed(truth + luck.gauss(0.0, width * self.sigma))

    def truth(self, genome: str) -> float:
        """The score without noise; infinite for a genome that crashes."""
        return self.truth_of(self.ideas_in(genome))

    def text(self, ideas: Collection[int]) -> str:
        """The genome that has these ideas in, given by index."""
        return "".join(f"{idea.name} = {i in ideas}\n" for i, idea in enumerate(self.ideas))

    def _ideas_in(self, genome: str) -> frozenset[int]:
        return frozenset(self._index[name] for name in _IN.findall(genome) if name in self._index)

    def _hash_of(self, ideas: frozenset[int]) -> str:
        """The normal hash of the genome that has these ideas in."""
        return self._variants.normal_hash({self.ideas[i].name: True for i in ideas})

    def _truth_of(self, ideas: frozenset[int]) -> float:
        present = [self.ideas[i] for i in sorted(ideas)]
        if any(idea.broken for idea in present):
            return inf
        closed = {idea.category for idea in present if idea.closes}
        gains, losses = dict.fromkeys(CATEGORIES, 0.0), 0.0
        for idea in present:
            effect = idea.opened if idea.opener in ideas else idea.effect
            if effect >= 0:
                losses += effect
            elif idea.closes or idea.category not in closed:
                gains[idea.category] -= effect
        gained = sum(saturated(gain, self.shape.saturation) for gain in gains.values())
        return self.shape.baseline + MBPB * (losses - gained)


class Thinker:
    """The mind of a lineage. It knows the field a little, and reads what every lineage has tried."""

    def __init__(self, pool: Pool, reach: float) -> None:
        self.pool = pool
        self.odds = {i: idea.odds for i, idea in enumerate(pool.ideas) if idea.depth < reach}

    def propose(self, request: Request) -> Reply:
        """An idea nobody tried; when there is none, one that was not tried in this company."""
        parent = self.pool.ideas_in(request.genome)
        absent = {i: odds for i, odds in self.odds.items() if i not in parent}
        rng = Random(request.seed)
        for odds in (self._fresh(absent, parent, request), absent):
            while odds:
                drawn = rng.choices(list(odds), list(odds.values()))[0]
                genome = parent | {drawn}
                if self.pool.hash_of(genome) not in request.hashes:
                    return Proposal(self.pool.text(genome), self.pool.ideas[drawn].words)
                del odds[drawn]
        return NoIdea("every idea was tried from here")

    def _fresh(self, absent: dict[int, float], parent: frozenset[int], request: Request) -> dict[int, float]:
        """The odds of what nobody tried, or only without the opener that is in the parent."""
        ideas = self.pool.ideas
        tried, opened = set[int](), set[int]()
        for trial in request.history:
            i = self.pool.by_words.get(trial.idea)
            if i is not None:
                tried.add(i)
                opener = ideas[i].opener
                if opener is not None and trial.knobs.get(ideas[opener].name) is True:
                    opened.add(i)
        odds = {i: plain for i, plain in absent.items() if i not in tried}
        hunches = {i: plain for i, plain in absent.items() if ideas[i].opener in parent and i not in opened}
        return odds | {i: plain * self.pool.shape.hunch for i, plain in hunches.items()}


def equal(seed: int) -> Pool:
    return Pool(EQUAL, seed)


def unequal(seed: int) -> Pool:
    return Pool(UNEQUAL, seed)


def null(seed: int) -> Pool:
    return Pool(NULL, seed)


def deceptive(seed: int) -> Pool:
    return Pool(DECEPTIVE, seed)


def noisy(seed: int) -> Pool:
    return Pool(replace(EQUAL, sigma=_NOISY), seed)


def null_noisy(seed: int) -> Pool:
    return Pool(replace(NULL, sigma=_NOISY), seed)


def on_best_brief(make: Callable[[int], Pool]) -> Callable[[int], Pool]:
    """The same worlds, in which only the best brief is dealt: for a search that knew which it is."""
    return lambda seed: (pool := make(seed)).only(pool.best_brief)


def on_random_brief(make: Callable[[int], Pool]) -> Callable[[int], Pool]:
    """The same worlds, in which only one brief is dealt, and the seed says which."""
    return lambda seed: (pool := make(seed)).only(Random(f"{seed} brief").choice(pool.briefs))


def saturated(gain: float, scale: float) -> float:
    """What `gain` mbpb of one category are worth: all of it while small, its logarithm when large."""
    return scale * log1p(gain / scale)


def _draw(shape: Shape, rng: Random) -> tuple[Idea, ...]:
    ideas = [_plain(shape, i, rng) for i in range(shape.ideas)]
    _combine(ideas, shape, rng)
    _close(ideas, shape, rng)
    return tuple(ideas)


def _plain(shape: Shape, i: int, rng: Random) -> Idea:
    category = rng.choice(CATEGORIES)
    name = f"{category}_{i:03d}"
    kind, size, depth = rng.random(), rng.gauss(0.0, 1.0), rng.random()
    if kind < shape.gains:
        gain = shape.gain * exp(shape.gain_spread * size)
        return Idea(name, category, -gain, _odds(shape, gain), depth)
    return Idea(name, category, shape.loss * exp(shape.loss_spread * size), broken=kind > 1.0 - shape.broken)


def _combine(ideas: list[Idea], shape: Shape, rng: Random) -> None:
    """Make openers of some losses, and followers, real and supposed, of others."""
    losses = [i for i, idea in enumerate(ideas) if idea.effect > 0 and not idea.broken]
    rng.shuffle(losses)
    for _ in range(shape.openers):
        opener = losses.pop()
        ideas[opener] = replace(ideas[opener], effect=rng.uniform(*shape.opener_loss))
        followers, gain = rng.randint(*shape.followers), rng.uniform(*shape.combination)
        for _ in range(followers):
            real, supposed = losses.pop(), losses.pop()
            ideas[real] = replace(ideas[real], opener=opener, opened=-gain / followers)
            ideas[supposed] = replace(ideas[supposed], opener=opener, opened=ideas[supposed].effect)


def _close(ideas: list[Idea], shape: Shape, rng: Random) -> None:
    """Put a dead end into each of the richest categories, in the place of an idea without followers."""
    wealth: defaultdict[str, float] = defaultdict(float)
    for idea in ideas:
        wealth[idea.category] -= min(idea.effect, idea.opened, 0.0)
    needed = {idea.opener for idea in ideas} | {i for i, idea in enumerate(ideas) if idea.opened < 0}
    for category in sorted(wealth, key=lambda category: -wealth[category])[: shape.dead_ends]:
        free = [i for i, idea in enumerate(ideas) if idea.category == category and i not in needed]
        i, gain = rng.choice(free), rng.uniform(*shape.dead_end_gain)
        ideas[i] = Idea(ideas[i].name, category, -gain, _odds(shape, gain), closes=True)


def _odds(shape: Shape, gain: float) -> float:
    """Of proposing an idea that gains `gain` mbpb, those of a loss being 1."""
    return shape.insight * sqrt(gain)


_IN: Final = re.compile(r"^(\w+) = True$", re.MULTILINE)
