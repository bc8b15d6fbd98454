"""A script is replayed step by step, from nothing but the history."""

import pytest

from population.genome import normal_hash
from population.proposals import NoIdea, Proposal, Request, Tried
from population.proposers.scripted import Scripted
from population.records import Completed

GENOME = "DEPTH = 4\nLR = 0.1\n"
SCRIPT = Scripted([("deeper", {"DEPTH": 5}), ("broken", "def ("), ("slower", {"LR": 0.05})])


def tried(idea: str, lineage: str = "a") -> Tried:
    return Tried(1, lineage, "scripted", idea, idea, "base", 1.0, {}, Completed(1.0), False)


def request(*history: Tried, hashes: frozenset[str] = frozenset()) -> Request:
    return Request("a", "", "base", GENOME, 1.0, history, hashes, 0)


def test_steps_are_played_in_order() -> None:
    assert SCRIPT.propose(request()) == Proposal("DEPTH = 5\nLR = 0.1\n", "deeper")
    assert SCRIPT.propose(request(tried("deeper"))) == Proposal("def (", "broken")
    assert SCRIPT.propose(request(tried("deeper"), tried("broken"))) == Proposal(
        "DEPTH = 4\nLR = 0.05\n", "slower"
    )


def test_only_the_lineages_own_steps_count() -> None:
    reply = SCRIPT.propose(request(tried("baseline"), tried("deeper", lineage="b")))
    assert isinstance(reply, Proposal) and reply.idea == "deeper"


def test_a_step_that_waits_for_its_trial_is_not_proposed_again() -> None:
    waiting = frozenset({normal_hash("DEPTH = 5\nLR = 0.1\n")})
    assert SCRIPT.propose(request(hashes=waiting)) == Proposal("def (", "broken")


def test_a_script_ends() -> None:
    assert isinstance(SCRIPT.propose(request(tried("deeper"), tried("broken"), tried("slower"))), NoIdea)


def test_a_script_that_sets_what_is_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Scripted([("wider", {"WIDTH": 1})]).propose(request())
