"""What competes on what: for each kind of world, who searches it and how the results are read.

    equal, unequal, deceptive, null   pools of ideas (see worlds/pools.py)
    noisy, null-noisy                 the first and last of these, noisier than hardware is expected to be
    night-equal, night-unequal        a night of one GPU on such pools, with minds that take their time
    racing                            a night on pools whose trainings can be stopped (see worlds/raced.py)
    h200                              a model of real trials (see worlds/h200.py)
    world                             a landscape of the user's own (see world.py and worlds/example.py)
    real                              short trainings on this machine (see real.py)

World number k of a kind is the same for every arm. A single lineage follows one brief: a random one where it
stands for somebody who does not know which is best.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from benchmarks import real
from benchmarks.optimisers import OPTIMISERS, Optimised
from benchmarks.play import Arm, Played, play
from benchmarks.world import MakeWorld, World, read_world
from benchmarks.worlds import h200, pools
from benchmarks.worlds.raced import raced
from population.records import Completed
from trainer.errors import BadInput

GREEDY: Final = "greedy"  # the arm that others are compared with
BEST: Final = "greedy, best brief"
PROMISE: Final = "promise, 4 lineages"

_TRAINING_S, _OVERHEAD_S = 300.0, 26.0  # of a trial on an H100; start-up, compilation and exam are the latter
_THINKING_S: Final = (25.0, 60.0)  # an agent's time a proposal: a quick one's and a slow one's
_PONDERING_S: Final = 300.0  # and of one that takes as long as a training

Search: TypeAlias = Callable[[int, int], Played]  # of a world's number and a number of trials


class Entrant(Struct, frozen=True):
    """One row of a table. `rival` is the row that it is compared with."""

    name: str
    search: Search
    rival: str = GREEDY


class Unit(Struct, frozen=True):
    """What gains are told in: a score of the world times `size`."""

    name: str
    size: float

    @property
    def suffix(self) -> str:
        return f", {self.name}" if self.name else ""


class Kind(Struct, frozen=True):
    """One table: a kind of world and all who search it."""

    name: str
    about: str
    entrants: tuple[Entrant, ...]
    goal: float | None = None  # a score, to see how many trials it takes
    hours: float | None = None  # a limit in place of a number of trials
    rival: str = GREEDY  # in a word, for the titles of comparisons

    @property
    def unit(self) -> Unit:
        return unit_of(self.name)

    def entrant(self, name: str) -> Entrant:
        return next(entrant for entrant in self.entrants if entrant.name == name)


class OneBrief:
    """A world in which only this brief is dealt."""

    def __init__(self, world: World, brief: str) -> None:
        self.genome, self.sigma, self.briefs = world.genome, world.sigma, (brief,)
        self.proposer, self.train, self.truth = world.proposer, world.train, world.truth


def kinds(
    table: Path | None, file: Path | None, night_h: float = 8.0, budget: float | None = None
) -> dict[str, Kind]:
    """All kinds of world there are; that of H200 trials with their table, the user's own with its file.

    `budget` is the seconds of a real training, the task's own if None. Raises BadInput for a bad file.
    """
    found = [
        _pool("equal", "four briefs that lead to the same ideas", pools.equal),
        _unequal(),
        _pool("deceptive", "gains that need each other, and dead ends", pools.deceptive),
        _pool("null", "no idea does anything", pools.null),
        _pool("noisy", "equal briefs, and three times the noise that is expected", pools.noisy),
        _pool("null-noisy", "no idea does anything, and the same noise", pools.null_noisy),
        _night("equal", pools.equal, night_h),
        _night("unequal", pools.unequal, night_h),
        _racing(night_h),
        _real(budget),
    ]
    if table is not None:
        found.append(_h200(h200.make(table)))
    if file is not None:
        make = checked(file)
        entrants = _policies(make, _on_random_brief(make), profile="")
        found.append(Kind("world", f"the landscape of {file.name}", entrants))
    return {kind.name: kind for kind in found}


def unit_of(kind: str) -> Unit:
    """Thousandths of a bit per byte; of a world of the user's own, its scores as they are."""
    return Unit("", 1.0) if kind == "world" else Unit("mbpb", 1000.0)


def checked(file: Path) -> MakeWorld:
    """The worlds of `file`; BadInput, in one line, if the first of them cannot be searched."""
    try:
        make = read_world(file)
    except (SyntaxError, ImportError) as error:
        raise BadInput(f"--world {file}: it cannot be imported: {error}") from error
    world = make(0)
    members = ("genome", "briefs", "sigma", "proposer", "train", "truth")
    if missing := [name for name in members if not hasattr(world, name)]:
        raise BadInput(f"--world {file}: world(0) has no {', '.join(missing)}; benchmarks/world.py says what")
    if not world.briefs:
        raise BadInput(f"--world {file}: world(0).briefs is empty; name at least one")
    outcome = world.train(world.genome, 1)
    if not isinstance(outcome, Completed):
        raise BadInput(f"--world {file}: the first genome of world(0) must have a score, not {outcome}")
    return make


def _played(
    make: MakeWorld, arm: Arm, seed: int, trials: int, hours: float | None = None, profile: str = "h100"
) -> Played:
    limit = trials if hours is None else None
    return play(make(seed), arm, limit, seed, hours, profile, curve=True)


def _entrant(make: MakeWorld, arm: Arm, rival: str = GREEDY, hours: float | None = None) -> Entrant:
    return Entrant(arm.name, partial(_played, make, arm, hours=hours), rival)


def _policies(make: MakeWorld, on_random_brief: MakeWorld, profile: str = "h100") -> tuple[Entrant, ...]:
    arms = (
        (on_random_brief, Arm(GREEDY, "greedy")),
        (make, Arm(PROMISE, "promise", 4)),
        (make, Arm("promise, 1 lineage", "promise", 1)),
        (make, Arm("round-robin, 4 islands", "round-robin", 4)),
        (make, Arm("best-of-n", "best-of-n", 4)),
    )
    return tuple(Entrant(arm.name, partial(_played, where, arm, profile=profile)) for where, arm in arms)


def _pool(name: str, about: str, make: Callable[[int], pools.Pool]) -> Kind:
    return Kind(name, about, _policies(make, pools.on_random_brief(make)))


def _unequal() -> Kind:
    greedy, *others = _policies(pools.unequal, pools.on_random_brief(pools.unequal))
    best = _entrant(pools.on_best_brief(pools.unequal), Arm(BEST, "greedy"))
    about = "four briefs, of which one leads to more gains than the others; greedy is on a random one"
    return Kind("unequal", about, (greedy, best, *others))


def _night(kind: str, make: Callable[[int], pools.Pool], night_h: float) -> Kind:
    """The serial loop thinks, then trains; four minds think meanwhile; a pipeline starts up meanwhile too."""
    entrants: list[Entrant] = []
    trial_s = _TRAINING_S + _OVERHEAD_S
    for think_s in (*_THINKING_S, _PONDERING_S):
        serial, pace = f"{GREEDY}, thinking {think_s:g} s", f"thinking {think_s:g} s"
        alone = Arm(serial, "greedy", trial_s=trial_s, think_s=think_s)
        many = Arm(f"{PROMISE}, {pace}", "promise", 4, trial_s, think_s=think_s)
        ahead = replace(many, name=f"{PROMISE}, pipeline, {pace}", overlaps=True)
        entrants.append(_entrant(pools.on_random_brief(make), alone, serial, night_h))
        if think_s in _THINKING_S:
            entrants.append(_entrant(make, many, serial, night_h))
        entrants.append(_entrant(make, ahead, serial, night_h))
    about = (
        f"{night_h:g} hours of one GPU, trials of {trial_s:g} s, {kind} briefs; greedy waits for its mind, "
        "and in a pipeline the next trial starts up while one trains"
    )
    return Kind(f"night-{kind}", about, tuple(entrants), hours=night_h)


def _racing(night_h: float) -> Kind:
    whole = Arm(PROMISE, "promise", 4, _TRAINING_S + _OVERHEAD_S, think_s=_THINKING_S[0], racing=False)
    entrants = tuple(
        Entrant(arm.name, partial(_played, raced, arm, hours=night_h, profile="cpu"), whole.name)
        for arm in (whole, replace(whole, name=f"{PROMISE}, racing", racing=True))
    )
    about = (
        f"{night_h:g} hours of one GPU, trials of {whole.trial_s:g} s unless they are stopped, changes and "
        f"curves as on CPU, minds that think {whole.think_s:g} s"
    )
    return Kind("racing", about, entrants, hours=night_h, rival="no racing")


def _h200(make: MakeWorld) -> Kind:
    def on_cma(seed: int) -> World:
        return OneBrief(make(seed), "cma")

    return Kind(
        "h200",
        "14 constants, scored by a model of real trials on an H200",
        (
            _entrant(make, Arm(GREEDY, "greedy")),
            _entrant(on_cma, Arm("greedy, cma", "greedy")),
            _entrant(make, Arm(PROMISE, "promise", 4)),
            *(Entrant(f"optuna {name}", partial(_optimised, make, name)) for name in OPTIMISERS),
        ),
        goal=0.980,
    )


def _optimised(make: MakeWorld, name: str, seed: int, trials: int) -> Played:
    world = make(seed)
    found: Optimised = OPTIMISERS[name](world, trials, seed)
    score = world.truth(found.genome)
    return Played(trials, score, world.truth(world.genome) - score, truths=found.truths)


def _real(budget: float | None) -> Kind:
    arms = Arm(GREEDY, "greedy"), Arm(PROMISE, "promise", 4)
    about = "trainings on this machine; both genomes are measured again, with two fresh seeds each"
    entrants = tuple(Entrant(arm.name, partial(real.play, arm, budget)) for arm in arms)
    return Kind("real", about, entrants)


def _on_random_brief(make: MakeWorld) -> MakeWorld:
    def world(seed: int) -> World:
        found = make(seed)
        return OneBrief(found, Random(f"{seed} brief").choice(found.briefs))

    return world
