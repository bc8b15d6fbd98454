"""Every second of a GPU is counted once, as the dearest thing it was."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from population.reckoning.accounting import Account, account
from population.records import (
    Assigned,
    Completed,
    Crashed,
    Entry,
    Event,
    Finished,
    Founded,
    Lost,
    Outcome,
    Proposed,
    Resumed,
    Stopped,
    Usage,
)
from population.state import Population, apply
from tests.population.histories import HEAD, candidate, started

BEGAN = 1_750_000_000.0
DONE = Completed(1.0)
HOPELESS = Stopped(0.4, "hopeless")


class Told:
    """A run whose trials are told with the times of what they did, in seconds since it began."""

    def __init__(self, gpus: int | None = None) -> None:
        self.population = Population()
        root = candidate(1, "amber", (HEAD,), "baseline")
        for event in (
            replace(started(), gpus=gpus),
            Founded("amber", "brief", "scripted", root.commit, "asked for"),
            Proposed(root),
        ):
            self.at(0, event)

    def at(self, second: float, event: Event) -> None:
        now = max(BEGAN + second, self.population.at)
        apply(self.population, Entry(self.population.entries + 1, now, event))

    def assigned(self, second: float) -> int:
        trial = len(self.population.trials) + 1
        self.at(second, Assigned(trial, 1, trial, "its turn"))
        return trial

    def tried(
        self,
        start: float,
        startup: float,
        training: float = 0.0,
        exam: float = 0.0,
        outcome: Outcome = DONE,
        until: float = 0.0,
        gpu: int = 0,
    ) -> "Told":
        """A trial that got the GPU at `start`."""
        over = max(start + startup + training + exam, until)
        used = Usage(BEGAN + start, startup, training, exam, gpu=gpu)
        self.at(over, Finished(self.assigned(start), outcome, used))
        return self

    def account(self) -> Account:
        return account(self.population)


def test_a_trial_is_start_up_training_and_exam_and_the_rest_is_idle() -> None:
    found = Told().tried(5, 2, 10, 3, until=21).account()
    assert found == Account(training_s=10, exam_s=3, startup_s=2, idle_s=6)
    assert found.all_s == 21 and found.duty == pytest.approx(10 / 21)


def test_the_training_of_a_trial_that_was_stopped_is_stopped_work() -> None:
    found = Told().tried(0, 2, 4, outcome=HOPELESS).tried(6, 2, 10, 2).account()
    assert found == Account(training_s=10, stopped_s=4, exam_s=2, startup_s=4)


def test_an_exam_that_overlaps_the_next_start_up_and_training_counts_only_where_nothing_dearer_goes_on() -> (
    None
):
    found = Told().tried(0, 2, 10, 5).tried(12, 3, 10, 1).account()
    assert found == Account(training_s=20, exam_s=4, startup_s=2)


def test_a_crash_at_once_during_the_exam_of_another_is_no_time_at_all() -> None:
    found = (
        Told().tried(0, 2, 10, 8).tried(12, 1, outcome=Crashed("syntax error")).tried(14, 1, 10, 1).account()
    )
    assert found == Account(training_s=20, exam_s=4, startup_s=2)


def test_what_a_trial_under_way_does_is_counted_when_it_is_over() -> None:
    told = Told().tried(0, 2, 10, 3)
    told.assigned(15)
    told.at(400, Resumed())
    assert told.account().all_s == 400 - 385  # that trial is lost, and the pause was none of its time
    told.assigned(16)
    assert told.account() == Account(training_s=10, exam_s=3, startup_s=2)


def test_a_trial_that_was_assigned_ahead_of_its_turn_hides_nothing_of_the_training_before_it() -> None:
    told = Told()
    first, _ = told.assigned(0), told.assigned(3)
    told.at(13, Finished(first, DONE, Usage(BEGAN, 2, 8, 3)))
    assert told.account() == Account(training_s=8, startup_s=2)


def test_a_lost_trial_was_idle_and_a_pause_is_not_counted() -> None:
    told = Told().tried(0, 2, 10, 3)
    trial = told.assigned(15)
    told.at(20, Founded("birch", "brief", "scripted", "0" * 40, "asked for"))
    told.at(1000, Resumed())
    told.at(1001, Lost(trial, "the power was cut"))
    told.tried(1001, 2, 10, 3)
    assert told.account() == Account(training_s=20, exam_s=6, startup_s=4, idle_s=6)


def test_a_gpu_counts_in_the_sessions_that_had_it_and_in_no_other() -> None:
    told = Told(gpus=1).tried(0, 2, 10, 3)
    told.at(100, Resumed(gpus=3))
    told.tried(100, 2, 10, 3, gpu=2)
    told.at(200, Resumed(gpus=1))
    told.tried(200, 2, 10, 3)
    assert told.account() == Account(training_s=30, exam_s=9, startup_s=6, idle_s=2 * 15, gpus=3)


def test_an_older_journal_has_the_gpus_on_which_trials_ended_in_each_session() -> None:
    told = Told().tried(0, 2, 10, 3)
    told.at(100, msgspec.json.decode(b'{"type": "resumed"}', type=Resumed))
    told.tried(100, 2, 10, 3).tried(100, 2, 10, 3, gpu=1)
    assert told.account() == Account(training_s=30, exam_s=9, startup_s=6, gpus=2)


def test_nothing_is_counted_of_a_run_that_has_not_begun_and_it_has_no_duty() -> None:
    assert account(Population()) == Account() and Account().duty == 0


SECONDS = st.floats(0, 30)
TRIALS = st.lists(
    st.tuples(
        SECONDS, SECONDS, SECONDS, SECONDS, st.sampled_from([DONE, HOPELESS, Crashed("")]), st.integers(0, 2)
    ),
    max_size=12,
)


SESSIONS = st.lists(st.tuples(TRIALS, st.sampled_from([None, 3, 5])), min_size=1, max_size=3)


@given(SESSIONS)
def test_all_seconds_of_all_gpus_are_counted_and_none_twice(
    sessions: list[tuple[list[tuple[float, float, float, float, Outcome, int]], int | None]],
) -> None:
    """Each GPU begins a trial some seconds after the training of the last, whatever that one's exam does."""
    told, over, all_s, most = Told(sessions[0][1]), 0.0, 0.0, 1
    for number, (trials, has) in enumerate(sessions):
        since = over + 1000.0 * (number > 0)
        if number:
            told.at(since, Resumed(has))
        free: dict[int, float] = {}
        for gap, startup, training, exam, outcome, gpu in trials:
            start = free.get(gpu, since) + gap
            free[gpu] = start + startup + training
            used = Usage(BEGAN + start, startup, training, exam, gpu=gpu)
            over = max(over, since, free[gpu] + exam)
            trial = told.assigned(since)
            told.at(over, Finished(trial, outcome, used))
        gpus = has or len(free) or 1
        all_s, most = all_s + gpus * max(over - since, 0.0), max(most, gpus)
    found = told.account()
    parts = (found.training_s, found.stopped_s, found.exam_s, found.startup_s, found.idle_s)
    assert all(part >= 0 for part in parts) and found.gpus == most
    assert found.all_s == pytest.approx(all_s, abs=1e-3)
    kept = sum(trial[2] for trials, _ in sessions for trial in trials if trial[4] is not HOPELESS)
    assert found.training_s == pytest.approx(kept, abs=1e-3)
