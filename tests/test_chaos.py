"""A run nothing can kill, in short; `benchmarks/chaos.py` kills it hundreds of times."""

import itertools
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks import chaos
from benchmarks.chaos import Killed, Plan
from population.records import Declined, Event, Proposed, Thought
from tests.population.searches import Shelved


class Jumping:
    """A clock that is put on by five hours and back by four, by turns, whenever it is read."""

    def __init__(self) -> None:
        self._jumps = itertools.accumulate(itertools.cycle([18_000.0, -14_400.0]), initial=1e9)

    def time(self) -> float:
        return next(self._jumps)

    def monotonic(self) -> float:
        return time.monotonic()


def test_a_clock_that_jumps_neither_ends_a_run_nor_changes_what_is_decided(tmp_path: Path) -> None:
    events = []
    for name in ("steady", "jumping"):
        run = Shelved(tmp_path / name, trials=8)
        run.settings = replace(run.settings, hours=1.0)
        with run.begun() as search:
            search.clock = Jumping() if name == "jumping" else time
            search.run()
        events.append([_untimed(entry.event) for entry in search.journal.entries])
    assert events[0] == events[1]


def test_the_same_seed_plans_the_same_kills_and_the_last_one_leaves_no_scheduler() -> None:
    assert chaos.plans("a", 50) == chaos.plans("a", 50) != chaos.plans("b", 50)
    assert {plan.victim for plan in chaos.plans("a", 100)} == set(chaos.VICTIMS)
    assert chaos.plans("a", 7)[-1].victim in chaos.ENDS


@pytest.mark.slow
@pytest.mark.alone
def test_a_run_survives_the_death_of_its_minds_its_trainer_its_trials_and_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit in ("PATIENCE_S", "RECOVERY_S"):  # on a busy machine Ray takes its time to start
        monkeypatch.setattr(chaos, limit, 240.0)
    kills: list[Killed] = []
    schedule = [Plan(victim, 0.2, False) for victim in ("examiner", "mind", "training", "trainer")]
    assert chaos.trouble("short", schedule, kills.append) == []
    assert [kill for kill in kills if not (kill.entries and kill.recovered_s)] == []


def _untimed(event: Event) -> Event:
    """Without how long a mind took, which differs between any two runs."""
    if isinstance(event, Proposed):
        return Proposed(replace(event.candidate, thought=Thought()))
    return replace(event, thought=Thought()) if isinstance(event, Declined) else event
