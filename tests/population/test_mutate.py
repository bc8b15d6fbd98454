"""The optimiser moves few knobs within reason, learns from every lineage, and never repeats itself."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from population.genome import Interval, constants, holds, knobs, normal_hash
from population.proposers import NoIdea, Proposal, Request, Tried
from population.proposers.lessons import factors, learn
from population.proposers.mutate import Mutate, Sampler
from population.proposers.space import axes
from population.records import Completed, Crashed, Knob

GENOME = """
DEPTH = 8  # layers; 1 to 16
ASPECT = 64  # 32 to 96, step 8
BATCH = 2**10  # 2**6 to 2**14, power of two
LR = 0.04  # 0.001 to 0.5, log
WARMDOWN = 0.5  # 0 to 1
DECAY = 0.3
MOMENTUM = 0.95
GATES = False
WINDOW = "SL"  # one of "S", "L", "SL"
NAME = "as it is"
HEADS = 4  # fixed
WIDTH = DEPTH * ASPECT
assert WIDTH % (16 * HEADS) == 0
"""
SAMPLERS: tuple[Sampler, ...] = ("tpe", "cma")
both = pytest.mark.parametrize("sampler", SAMPLERS)


def score(values: dict[str, Knob]) -> float | None:
    """A landscape with its best at LR 0.1, WARMDOWN 0.8, DEPTH 6; too large a model crashes."""
    depth, rate, down = values["DEPTH"], values["LR"], values["WARMDOWN"]
    assert isinstance(depth, int) and isinstance(rate, float) and isinstance(down, float)
    if depth > 11:
        return None
    return 1 + 0.02 * math.log(rate / 0.1) ** 2 + 0.1 * (down - 0.8) ** 2 + 0.001 * (depth - 6) ** 2


def start() -> Request:
    return Request("a", "", "base", GENOME, score(knobs(GENOME)), (), frozenset({normal_hash(GENOME)}), 1)


def after(request: Request, proposal: Proposal, noise: float = 0.0, lineage: str = "a") -> Request:
    """What a greedy line asks next."""
    values, commit = knobs(proposal.genome), normal_hash(proposal.genome)
    found = score(values)
    outcome = Crashed("out of memory") if found is None else Completed(found + noise)
    better = isinstance(outcome, Completed) and request.score is not None and outcome.score < request.score
    trial = len(request.history) + 1
    told = Tried(
        trial,
        lineage,
        "mutate",
        proposal.idea,
        commit,
        request.parent,
        request.score,
        values,
        outcome,
        better,
    )
    return Request(
        request.lineage,
        "",
        commit if better else request.parent,
        proposal.genome if better else request.genome,
        outcome.score if better and isinstance(outcome, Completed) else request.score,
        (*request.history, told),
        request.hashes | {commit},
        request.seed + 1,
    )


def searched(sampler: Sampler, trials: int, seed: int = 0) -> Request:
    request, noise = start(), random.Random(seed)
    for _ in range(trials):
        reply = Mutate(sampler).propose(request)
        assert isinstance(reply, Proposal)
        request = after(request, reply, noise.gauss(0, 1e-3))
    return request


def propose(request: Request, sampler: Sampler = "tpe") -> Proposal:
    reply = Mutate(sampler).propose(request)
    assert isinstance(reply, Proposal)
    return reply


@both
def test_thirty_trials_find_most_of_what_there_is_to_gain(sampler: Sampler) -> None:
    best = score(knobs(searched(sampler, 30).genome))
    first = score(knobs(GENOME))
    assert best is not None and first is not None and best - 1 < 0.35 * (first - 1)


@both
def test_the_same_request_brings_the_same_reply(sampler: Sampler) -> None:
    request = searched(sampler, 20)
    assert propose(request, sampler) == propose(request, sampler)


@both
def test_every_proposal_is_new_keeps_its_assertions_and_its_ranges(sampler: Sampler) -> None:
    request, seen = start(), {normal_hash(GENOME)}
    for _ in range(25):
        proposal = propose(request, sampler)
        values = knobs(proposal.genome)
        assert normal_hash(proposal.genome) not in seen and holds(proposal.genome, {})
        assert (values["NAME"], values["HEADS"]) == ("as it is", 4) and values["WINDOW"] in ("S", "L", "SL")
        for name, constant in constants(GENOME).items():
            if isinstance(constant.range, Interval):
                assert constant.range.low <= values[name] <= constant.range.high  # type: ignore[operator]
        seen.add(normal_hash(proposal.genome))
        request = after(request, proposal)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63), st.sampled_from(SAMPLERS))
def test_values_keep_their_kind(seed: int, sampler: Sampler) -> None:
    old, new = knobs(GENOME), knobs(propose(structs.replace(start(), seed=seed), sampler).genome)
    assert old != new and all(type(new[name]) is type(old[name]) for name in old)
    assert isinstance(new["BATCH"], int) and new["BATCH"].bit_count() == 1
    assert isinstance(new["ASPECT"], int) and new["ASPECT"] % 8 == 0


def test_the_idea_says_what_is_done() -> None:
    proposal, old = propose(start()), knobs(GENOME)
    changed = {name: value for name, value in knobs(proposal.genome).items() if value != old[name]}
    assert changed and all(
        f"{name} {old[name]} -> {value}" in proposal.idea for name, value in changed.items()
    )
    assert "helped before" not in proposal.idea


def test_what_helped_one_lineage_teaches_another() -> None:
    request = start()
    for depth in (7, 6):
        request = after(request, Proposal(GENOME.replace("DEPTH = 8", f"DEPTH = {depth}"), ""), lineage="b")
    other = structs.replace(request, parent="base", genome=GENOME)
    learned = _factors(other)
    assert learned["DEPTH"][0] > 1 and learned["DEPTH"][1] > learned["LR"][1]


def test_a_crash_makes_steps_shorter_and_rarer() -> None:
    request = after(start(), Proposal(GENOME.replace("DEPTH = 8", "DEPTH = 16"), ""))
    learned = _factors(request)
    assert learned["DEPTH"][0] < 1 == learned["LR"][0] and learned["DEPTH"][1] < learned["LR"][1]


@pytest.mark.parametrize("genome", ["", "import torch\n", "A = 1  # fixed\n", 'A = "x"\n', "def ("])
def test_a_genome_without_knobs_brings_no_idea(genome: str) -> None:
    reply = Mutate("tpe").propose(Request("a", "", "base", genome, None, (), frozenset(), 1))
    assert isinstance(reply, NoIdea) and "\n" not in reply.reason


def test_a_small_space_runs_dry_instead_of_repeating() -> None:
    hashes = frozenset(normal_hash(f"FLAG = {flag}") for flag in (True, False))
    assert isinstance(Mutate("cma").propose(Request("a", "", "p", "FLAG = True", 1.0, (), hashes, 1)), NoIdea)


@given(
    st.sampled_from([f"{name} = {value}" for name in ("X", "X_LR") for value in
                     (0, 1, 3, 16, 4096, 0.0, 1e-9, 0.004, 0.5, 0.95, 0.9999, 1.0, 8.5, 1e12, -0.25)]
                    + ["X = 3  # 1 to 9", "X = 0.5  # 0 to 1", "X = 0.1  # 0 to 1, step 0.05",
                       "X = 4  # 2 to 64, log", "X = 99.0  # 0 to 1", "X = 0.02  # 1e-4 to 1, log"]),
    st.floats(-200, 200),
)  # fmt: skip
def test_an_axis_gives_values_of_its_kind_that_lie_where_it_says(line: str, coordinate: float) -> None:
    (constant,) = constants(line).values()
    (axis,) = axes([constant])
    value = axis.value(coordinate)
    assert type(value) is type(constant.value) and not isinstance(value, str)
    assert axis.low <= value <= axis.high
    place, (low, high) = axis.coordinate(value), axis.bounds
    assert place is not None and low - 1e-9 <= place <= high + 1e-9


def _factors(request: Request) -> dict[str, tuple[float, float]]:
    """Radius and weight by name."""
    space = axes(constants(request.genome).values())
    learned = factors(learn(request, space, knobs(request.genome)))
    pairs = zip(learned.radius, learned.weight, strict=True)
    return {axis.name: (float(r), float(w)) for axis, (r, w) in zip(space, pairs, strict=True)}
