"""A trial is stopped where its loss shows that nothing can come of it, and nowhere else."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.knobs.schedules import same_schedules
from population.racing import FIRST, LAST, UNLIKE, Pair, foretelling, limits, pair, reference, tolerated
from population.records import Assigned, Candidate, Completed, Finished, Judged, Proposed, Usage
from population.state import Population, Trial
from tests.population.histories import candidate
from tests.population.measured import Run
from trainer.curve import PARTS, Curve, behind, final, recent

FALLING: Curve = tuple(round(6 - 0.15 * part, 5) for part in range(PARTS))


def times(curve: Curve, factor: float) -> Curve:
    return tuple(None if loss is None else loss * factor for loss in curve)


class Raced(Run):
    """A run whose trials have curves."""

    def trains(self, made: Candidate, score: float, curve: Curve) -> None:
        number = len(self.population.trials) + 1
        self.tell(Assigned(number, made.number, number, ""))
        self.tell(Finished(number, Completed(score), Usage(1e9, curve=curve)))
        self.tell(Judged(number, "discard", ""))

    def begins(self) -> Trial:
        """A trial of a new candidate, on the baseline."""
        made = candidate(len(self.population.candidates) + 1, "l1", (self.commit(1),))
        number = len(self.population.trials) + 1
        self.tell(Proposed(made)), self.tell(Assigned(number, made.number, number, ""))
        return self.population.trials[number]


@pytest.fixture
def run() -> Raced:
    run = Raced()
    run.trains(run.population.candidates[1], 1.0, FALLING)
    return run


def test_who_is_as_good_as_the_parent_goes_to_the_end(run: Raced) -> None:
    found = limits(run.population, run.begins(), alike=True)
    assert behind(FALLING, found) is None and behind(times(FALLING, 1.001), found) is None


def test_who_is_far_behind_is_stopped_and_not_before_a_fifth_of_the_budget(run: Raced) -> None:
    found = limits(run.population, run.begins(), alike=True)
    slow = times(FALLING, 1.5)
    assert next(part for part in range(PARTS) if behind(slow[: part + 1], found)) == FIRST
    assert all(limit is None for part, limit in enumerate(found) if not FIRST <= part <= LAST)


def test_on_another_schedule_only_a_larger_gap_counts(run: Raced) -> None:
    trial = run.begins()
    same, other = (limits(run.population, trial, alike) for alike in (True, False))
    for part in range(FIRST, LAST + 1):
        parent = recent(FALLING, part) or 0.0
        assert (other[part] or 0) - parent == pytest.approx(UNLIKE * ((same[part] or 0) - parent), rel=1e-3)


def test_the_baseline_and_repeats_do_not_race_nor_does_who_has_nobody_to_race(run: Raced) -> None:
    assert limits(run.population, run.population.trials[1], alike=True) == ()
    trial = run.begins()
    assert limits(run.population, trial, alike=True)
    run.tell(Finished(trial.number, Completed(1.0), Usage(1e9)))
    run.tell(Assigned(trial.number + 1, trial.candidate.number, 2, ""))
    assert limits(run.population, run.population.trials[trial.number + 1], alike=True) == ()
    assert limits(Population(), trial, alike=True) == ()


def test_what_foretells_nothing_stops_nobody() -> None:
    rng = Random(1)
    noise = [Pair((rng.gauss(0, 0.05),) * PARTS, rng.gauss(0, 0.05)) for _ in range(100)]
    assert (tolerated(10, noise) or 1) > 0.2


def test_the_better_a_loss_foretells_the_score_the_sooner_it_is_hopeless() -> None:
    rng = Random(2)
    gaps = [rng.gauss(0.02, 0.05) for _ in range(100)]
    clear, vague = (
        tolerated(10, [Pair((gap,) * PARTS, gap + rng.gauss(0, noise)) for gap in gaps])
        for noise in (0.002, 0.02)
    )
    assert clear is not None and vague is not None and clear < vague / 1.5


@given(st.integers(0, 2**32), st.floats(0.002, 0.02))
def test_of_what_would_have_gained_about_one_in_a_hundred_is_stopped(seed: int, noise: float) -> None:
    rng = Random(seed)
    pairs = []
    for _ in range(300):
        gap = rng.gauss(0.02, 0.04)
        pairs.append(Pair((gap,) * PARTS, 0.8 * gap + rng.gauss(0, noise)))
    reach = tolerated(10, pairs[:150])
    assert reach is not None
    stopped = [one.gain for one in pairs[150:] if (one.gaps[10] or 0) > reach]
    assert sum(gain < 0 for gain in stopped) <= 0.06 * len(stopped) + 3


def test_a_gap_is_relative_to_the_parent_whatever_the_units() -> None:
    one = pair(times(FALLING, 1.1), 2.2, FALLING, 2.0)
    bits = pair(times(FALLING, 1.1 / 0.693), 2.2, times(FALLING, 1 / 0.693), 2.0)
    assert one.gaps[5] == pytest.approx(0.1) and one.gain == pytest.approx(0.1)
    assert bits.gaps[1:] == pytest.approx(one.gaps[1:])


def test_a_parent_measured_more_than_once_runs_at_its_mean() -> None:
    run = Raced()
    run.trains(run.population.candidates[1], 1.0, FALLING)
    run.trains(run.population.candidates[1], 1.0, times(FALLING, 1.2)[:10])
    assert reference(run.population, run.commit(1)) == pytest.approx(times(FALLING, 1.1)[:10])
    assert reference(Population(), "c9") == ()


def test_the_loss_foretells_the_score_as_it_did_before_in_this_run(run: Raced) -> None:
    trial = run.begins()
    end = final(FALLING)
    assert end is not None
    assert foretelling(run.population, trial, [1.0, 0.9]) == pytest.approx([end, 0.9 * end])
    run.tell(Finished(trial.number, Completed(1.0), Usage(1e9)))
    for gain in (0.02, 0.04, 0.06) * 20:  # half as much as their losses
        again = run.begins()
        run.tell(Finished(again.number, Completed(1 + gain), Usage(1e9, curve=times(FALLING, 1 + 2 * gain))))
        run.tell(Judged(again.number, "discard", ""))
    assert foretelling(run.population, trial, [0.95]) == pytest.approx([0.9 * end], rel=0.01)


def test_who_has_no_parent_with_a_whole_curve_foretells_nothing() -> None:
    run = Raced()
    run.trains(run.population.candidates[1], 1.0, FALLING[:12])
    assert foretelling(run.population, run.begins(), [0.9]) == []


GENOME = """
RATE = 0.1
DECAY = 0.2
COOL = 0.5
def rate_at(progress):
    return min(1.0, (1 - progress) / COOL)
def train():
    for batch in prepare.batches(8):
        step(RATE * rate_at(prepare.progress()), DECAY)
def model():
    return RATE
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("RATE = 0.1", "RATE = 0.3", False),  # it stands beside the progress
        ("COOL = 0.5", "COOL = 0.7", False),
        ("return RATE", "return 2 * RATE", False),
        ("RATE = 0.1", "RATE = 0.1  # of all", True),
        ("DECAY = 0.2", "DECAY = 0.2\nMORE = 1", False),
    ],
)
def test_schedules_are_the_same_where_no_constant_of_theirs_and_no_code_changed(
    old: str, new: str, same: bool
) -> None:
    assert same_schedules(GENOME, GENOME.replace(old, new)) is same


def test_a_constant_that_no_schedule_has_leaves_it_alone() -> None:
    plain = "WIDTH = 8\n" + GENOME
    assert same_schedules(plain, plain.replace("WIDTH = 8", "WIDTH = 9"))
