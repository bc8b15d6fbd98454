"""The optimiser moves few knobs within reason, learns from every lineage, and never repeats itself."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from population.genome import Interval, constants, holds, knobs, names_seed, normal_hash
from population.knobs.lessons import factors, learn
from population.knobs.space import axes
from population.proposals import NoIdea, Proposal, Request, Tried
from population.proposers.mutate import Mutate, Sampler
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
    assert "before" not in proposal.idea and ":" not in proposal.idea


def test_the_idea_gives_a_reason_only_where_the_run_has_taught_one() -> None:
    flag = structs.replace(start(), genome="A = False\n", hashes=frozenset())
    told = Tried(1, "b", "mutate", "", "c", "other", 1.0, {"A": True}, Completed(0.9), True)
    origin = structs.replace(told, commit="other", parent="none", parent_score=None, knobs={"A": False})
    assert propose(flag).idea == "set A False -> True"
    assert propose(structs.replace(flag, history=(origin, told))).idea == "set A False -> True: helped before"
    failed = structs.replace(told, outcome=Completed(1.1))
    assert propose(structs.replace(flag, history=(origin, failed))).idea == "set A False -> True"


def test_moves_that_helped_grow_and_moves_that_failed_shrink() -> None:
    line = "X = 0.5  # 0 to 1\n"
    sizes = []
    for outcome in (0.9, 1.1):
        history = tuple(
            Tried(i, "b", "mutate", "", f"c{i}", "base", 1.0, {"X": x}, Completed(outcome), False)
            for i, x in enumerate((0.3, 0.35, 0.65, 0.7))
        )
        request = Request("a", "", "base", line, 1.0, history, frozenset(), 0)
        replies = [propose(structs.replace(request, seed=seed), "cma") for seed in range(20)]
        sizes.append(sum(abs(float(knobs(reply.genome)["X"]) - 0.5) for reply in replies))
    assert sizes[0] > 1.5 * sizes[1]


def test_proposals_go_the_way_that_helped() -> None:
    history = tuple(
        Tried(i, "b", "mutate", "", f"c{i}", "base", 1.0, {"X": x}, Completed(1.5 - x), x > 0.5)
        for i, x in enumerate((0.4, 0.45, 0.6))
    )
    request = Request("a", "", "base", "X = 0.5  # 0 to 1\n", 1.0, history, frozenset(), 0)
    replies = [propose(structs.replace(request, seed=seed)) for seed in range(20)]
    assert sum(float(knobs(reply.genome)["X"]) > 0.5 for reply in replies) > 16


def test_the_two_samplers_see_the_same_lessons_differently() -> None:
    request = searched("tpe", 12)
    replies = {sampler: [propose(structs.replace(request, seed=seed), sampler) for seed in range(6)]
               for sampler in SAMPLERS}  # fmt: skip
    assert sum(one != other for one, other in zip(*replies.values(), strict=True)) > 2


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


def proposals(genome: str, sampler: Sampler, most: int) -> list[Proposal]:
    """All that is proposed for a genome which stays the best, at most so many."""
    request = Request("a", "", "base", genome, 1.0, (), frozenset({normal_hash(genome)}), 0)
    made: list[Proposal] = []
    while len(made) < most and isinstance(reply := Mutate(sampler).propose(request), Proposal):
        made.append(reply)
        values, commit = knobs(reply.genome), normal_hash(reply.genome)
        worse = Tried(len(made), "a", "mutate", "", commit, "base", 1.0, values, Completed(1.1), False)
        history = (*request.history, worse)[-12:]
        request = structs.replace(
            request, history=history, hashes=request.hashes | {commit}, seed=request.seed + 1
        )
    return made


@both
@pytest.mark.parametrize(
    ("genome", "others"),
    [
        ("FLAG = True", 1),
        ("DEPTH = 2  # 1 to 6\nWIDE = False\nKIND = 'a'  # one of 'a', 'b', 'c'", 35),
        ("DEPTH = 2  # 1 to 6\nWIDTH = 4  # 1 to 64, power of two\nassert DEPTH * WIDTH < 20", 18),
        ("X = 0.5  # 0 to 1, step 0.1\nSEED = 7", 10),
        ("X = 99.0  # 0 to 1, step 0.5\nFLAG = True", 7),
    ],
)
def test_a_countable_space_is_searched_to_its_end(sampler: Sampler, genome: str, others: int) -> None:
    made = proposals(genome, sampler, 200)
    assert len({normal_hash(reply.genome) for reply in made}) == len(made) == others
    assert all(holds(reply.genome, {}) for reply in made)


@pytest.mark.parametrize("line", ["LR = 0.04  # 0.001 to 0.5, log", "X = 0.5  # 0 to 1"])
def test_a_knob_without_steps_never_runs_dry(line: str) -> None:
    assert len(proposals(line, "cma", 250)) == 250


@both
def test_seeds_are_never_turned(sampler: Sampler) -> None:
    genome = "SEED = 1337\nDATA_SEED = 3\nLR = 0.1  # 0.001 to 1, log\n"
    for reply in proposals(genome, sampler, 30):
        assert all(
            value == knobs(genome)[name] for name, value in knobs(reply.genome).items() if names_seed(name)
        )


edges = st.sampled_from([1e-323, 1e-310, 1e308, -1e308, 10**70, 2.6, 3.4, 0, 1, 5, 7]) | st.floats(-1e3, 1e3)
ends = st.sampled_from(["", ", log", ", power of two", ", step 2", ", step 0.3", ", step 1e-300"])


@settings(deadline=None)
@given(edges, edges, edges, ends, st.sampled_from(SAMPLERS), st.lists(edges, max_size=6))
def test_no_range_makes_a_proposal_raise(
    value: float, low: float, high: float, end: str, sampler: Sampler, seen: list[float]
) -> None:
    genome = f"X = {value}  # {low} to {high}{end}\nFLAG = False\n"
    history = tuple(
        Tried(i, "b", "mutate", "", f"c{i}", "base", 1.0, {"X": x, "FLAG": True}, Completed(1.0 + i), False)
        for i, x in enumerate(seen)
    )
    request = Request("a", "", "base", genome, 1.0, history, frozenset({normal_hash(genome)}), 1)
    assert normal_hash(propose(request, sampler).genome) != normal_hash(genome)


def _factors(request: Request) -> dict[str, tuple[float, float]]:
    """Radius and weight by name."""
    space = axes(constants(request.genome).values())
    learned = factors(learn(request, space, knobs(request.genome)))
    pairs = zip(learned.radius, learned.weight, strict=True)
    return {axis.name: (float(r), float(w)) for axis, (r, w) in zip(space, pairs, strict=True)}
