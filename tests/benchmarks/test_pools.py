"""Pools of ideas: fair, repeatable, and shaped like the traces of real searches."""

from collections.abc import Callable
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks.worlds.pools import (
    DECEPTIVE,
    EQUAL,
    Pool,
    deceptive,
    equal,
    null,
    on_best_brief,
    on_random_brief,
    unequal,
)
from population.genome import knobs, normal_hash
from population.proposals import NoIdea, Proposal, Request, Tried
from population.records import Completed, Knob, Outcome

KINDS = pytest.mark.parametrize("make", [equal, unequal, null, deceptive])
CHOSEN = st.frozensets(st.integers(0, EQUAL.ideas - 1), max_size=20)


def ask(
    pool: Pool,
    genome: str,
    history: tuple[Tried, ...] = (),
    seen: frozenset[str] = frozenset(),
    seed: int = 0,
):
    brief = pool.briefs[0]
    return pool.proposer(brief).propose(Request("a", brief, "parent", genome, None, history, seen, seed))


def tried(pool: Pool, genome: str, idea: str, outcome: Outcome, advanced: bool = False) -> Tried:
    constants: dict[str, Knob] = {pool.ideas[i].name: True for i in pool.ideas_in(genome)}
    return Tried(1, "a", "pool", idea, "commit", "parent", None, constants, outcome, advanced)


class Step:
    """One trial of a greedy line, in mbpb: what was seen against the tip, and what is true."""

    def __init__(self, number: int, seen: float | None, true: float, kept: bool) -> None:
        self.number, self.seen, self.true, self.kept = number, seen, true, kept


def greedy(pool: Pool, trials: int = 100) -> list[Step]:
    """Commit if better, from the first genome."""
    tip, score = pool.genome, scored(pool.train(pool.genome, 1))
    assert score is not None
    steps: list[Step] = []
    history: tuple[Tried, ...] = ()
    seen = frozenset((pool.hash_of(frozenset()),))
    for number in range(2, trials + 1):
        reply = ask(pool, tip, history, seen, Random(f"{pool.seed} {number}").getrandbits(32))
        if isinstance(reply, NoIdea):
            break
        outcome = pool.train(reply.genome, 1)
        found = scored(outcome)
        kept = found is not None and found < score
        true = (pool.truth(reply.genome) - pool.truth(tip)) * 1000
        steps.append(Step(number, None if found is None else (found - score) * 1000, true, kept))
        history += (tried(pool, reply.genome, reply.idea, outcome, kept),)
        seen |= {pool.hash_of(pool.ideas_in(reply.genome))}
        if kept and found is not None:
            tip, score = reply.genome, found
    return steps


def scored(outcome: Outcome) -> float | None:
    return outcome.score if isinstance(outcome, Completed) else None


def gain(steps: list[Step]) -> float:
    return -sum(step.true for step in steps if step.kept)


@cache
def lines(make: Callable[[int], Pool]) -> list[list[Step]]:
    return [greedy(make(seed)) for seed in range(30)]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@KINDS
def test_a_pool_follows_from_its_seed(make):
    one, same, other = make(1), make(1), make(2)
    assert (one.ideas, one.reach) == (same.ideas, same.reach)
    assert one.train(one.genome, 5) == same.train(one.genome, 5) != other.train(one.genome, 5)
    assert ask(one, one.genome, seed=3) == ask(same, one.genome, seed=3)


@KINDS
def test_the_first_genome_is_the_published_baseline(make):
    assert make(0).truth(make(0).genome) == 0.9970


@given(CHOSEN)
def test_a_genome_says_which_ideas_are_in_as_its_knobs_do(chosen):
    pool = equal(0)
    text = pool.text(chosen)
    assert pool.ideas_in(text) == chosen
    assert {name for name, value in knobs(text).items() if value} == {pool.ideas[i].name for i in chosen}


def test_a_hash_of_ideas_is_the_hash_of_their_genome():
    pool = equal(0)
    assert pool.hash_of(frozenset((3, 7, 90))) == normal_hash(pool.text((3, 7, 90)))


def test_a_proposal_adds_one_idea_to_its_parent():
    pool = equal(0)
    reply = ask(pool, pool.text((3, 7)))
    assert isinstance(reply, Proposal)
    assert len(pool.ideas_in(reply.genome) - {3, 7}) == 1 and pool.ideas_in(reply.genome) > {3, 7}


def test_nobody_proposes_what_is_waiting_for_its_trial():
    pool = equal(0)
    seen: set[str] = set()
    while isinstance(reply := ask(pool, pool.genome, seen=frozenset(seen), seed=len(seen)), Proposal):
        assert normal_hash(reply.genome) not in seen
        seen.add(normal_hash(reply.genome))
    assert len(seen) == sum(idea.depth < 0.65 for idea in pool.ideas)


def test_what_was_tried_is_proposed_again_only_when_nothing_else_is_left():
    pool = equal(0)
    history: tuple[Tried, ...] = ()
    for seed in range(sum(idea.depth < 0.65 for idea in pool.ideas)):
        reply = ask(pool, pool.genome, history, seed=seed)
        assert isinstance(reply, Proposal) and reply.idea not in {trial.idea for trial in history}
        history += (tried(pool, reply.genome, reply.idea, Completed(1.0)),)
    assert isinstance(ask(pool, pool.genome, history), Proposal)


def test_the_noise_of_trials_is_sigma_wide():
    pool = equal(0)
    scores = [scored(pool.train(pool.genome, seed)) for seed in range(2000)]
    squares = [(score - 0.9970) ** 2 for score in scores if score is not None]
    assert mean(squares) ** 0.5 == pytest.approx(pool.sigma, rel=0.1)


def test_a_heavy_tail_widens_the_noise():
    pool = Pool(replace(EQUAL, tail=0.5), 0)
    far = [
        abs((scored(pool.train(pool.genome, seed)) or 0.0) - 0.9970) > 2.5 * pool.sigma for seed in range(500)
    ]
    assert sum(far) > 50


@given(CHOSEN)
def test_no_edit_of_a_null_world_does_anything(chosen):
    pool = null(4)
    assert pool.truth(pool.text(chosen)) == pool.truth(pool.genome)


def test_a_follower_works_only_with_its_opener():
    pool = deceptive(0)
    i, idea = next((i, idea) for i, idea in enumerate(pool.ideas) if idea.opened < 0 and not idea.broken)
    assert idea.opener is not None
    alone, opener, both = (pool.truth(pool.text(s)) for s in ((i,), (idea.opener,), (i, idea.opener)))
    assert alone > 0.9970 and 0.9970 < opener < 0.9977 and both < opener


def test_a_dead_end_switches_off_the_other_gains_of_its_category():
    pool = deceptive(0)
    i, dead = next((i, idea) for i, idea in enumerate(pool.ideas) if idea.closes)
    others = {
        j for j, idea in enumerate(pool.ideas)
        if idea.category == dead.category and idea.effect < 0 and not idea.broken and j != i
    }  # fmt: skip
    assert others and pool.truth(pool.text(others | {i})) == pool.truth(pool.text({i})) < 0.9970


def test_what_failed_without_its_opener_is_taken_up_again_with_it():
    pool = Pool(replace(DECEPTIVE, hunch=1e9), 0)
    opener = next(idea.opener for idea in pool.ideas if idea.opener is not None)
    followers = {f"try {idea.name}" for idea in pool.ideas if idea.opener == opener}
    failed = tuple(tried(pool, pool.genome, idea, Completed(1.0)) for idea in sorted(followers))
    reply = ask(pool, pool.text((opener,)), failed)
    assert isinstance(reply, Proposal) and reply.idea in followers


def test_the_same_world_can_be_left_with_its_best_brief_alone():
    whole, best, random = unequal(3), on_best_brief(unequal)(3), on_random_brief(unequal)(3)
    assert best.ideas == whole.ideas and len(best.briefs) == len(random.briefs) == 1
    assert best.reach[best.briefs[0]] == max(whole.reach.values())


def test_the_briefs_of_an_equal_world_are_equal_and_those_of_an_unequal_one_are_not():
    assert len(set(equal(0).reach.values())) == 1 and len(set(unequal(0).reach.values())) == 4


def test_a_greedy_line_gains_what_the_published_ones_did():
    assert 10 < mean([gain(steps) for steps in lines(equal)]) < 16


def test_new_bests_grow_rare_as_in_the_published_traces():
    def chance(first: int, last: int) -> float:
        return mean([step.kept for steps in lines(equal) for step in steps if first <= step.number <= last])

    assert 0.3 < chance(2, 10) < 0.55 and 0.15 < chance(11, 25) < 0.33
    assert 0.1 < chance(26, 50) < 0.22 and 0.04 < chance(51, 100) < 0.15


def test_most_ideas_do_harm_as_in_the_published_traces():
    seen = sorted(step.seen for steps in lines(equal) for step in steps if step.seen is not None)
    tenth, median, ninety = (seen[int(len(seen) * share)] for share in (0.1, 0.5, 0.9))
    assert -0.7 < tenth < 0 and 0.7 < median < 1.7 and 4 < ninety < 8


def test_greedy_gains_more_on_the_best_brief_than_on_a_random_one():
    best, random = (
        mean([gain(steps) for steps in lines(m(unequal))]) for m in (on_best_brief, on_random_brief)
    )
    assert 1.2 < best / random < 2.2


def test_plain_gains_are_rarer_in_a_deceptive_world():
    assert mean([gain(steps) for steps in lines(deceptive)]) < mean([gain(steps) for steps in lines(equal)])
