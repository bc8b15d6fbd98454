"""Trials of any lineage teach how far to move each knob and what a move is likely to bring."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from population.genome import constants, knobs
from population.knobs.lessons import Factors, Lessons, expected_gain, factors, learn
from population.knobs.space import axes
from population.proposals import Request, Tried
from population.records import Completed, Crashed, Knob

GENOME = "X = 0.5  # 0 to 1\nY = 0.5  # 0 to 1\nKIND = 'a'  # one of 'a', 'b', 'c'\n"
SPACE = axes(constants(GENOME).values())


def tried(score: float | None, parent_score: float = 1.0, **moved: Knob) -> Tried:
    outcome = Crashed("out of memory") if score is None else Completed(score)
    values = {**knobs(GENOME), **moved}
    return Tried(1, "b", "mutate", "", str((score, moved)), "base", parent_score, values, outcome, False)


def taught(*history: Tried) -> Lessons:
    return learn(Request("a", "", "base", GENOME, 1.0, history, frozenset(), 1), SPACE, knobs(GENOME))


def test_without_lessons_all_knobs_are_alike() -> None:
    learned = factors(taught())
    assert (learned.radius == 1).all() and (learned.weight == 1).all()


def test_success_widens_a_radius_and_failure_narrows_it() -> None:
    for outcome, wider in ((0.9, True), (1.1, False), (None, False)):
        learned = factors(taught(tried(outcome, X=0.7), tried(outcome, X=0.8)))
        assert (learned.radius[0] > 1) == wider and (learned.weight[0] > 1) == wider
        assert learned.radius[1] == 1 and learned.weight[1] == 1


def test_a_crash_narrows_more_than_a_worse_score() -> None:
    crashed, worse = (factors(taught(tried(score, X=0.6))).radius[0] for score in (None, 1.1))
    assert crashed < worse < 1


def test_many_knobs_moved_at_once_teach_less_of_each() -> None:
    alone = factors(taught(tried(0.9, X=0.6)))
    together = factors(taught(tried(0.9, X=0.6, Y=0.6, KIND="b")))
    assert 1 < together.radius[0] < alone.radius[0]


def test_radii_and_weights_stay_bounded() -> None:
    for score in (0.5, None):
        learned: Factors = factors(taught(*(tried(score, X=0.9, KIND="b") for _ in range(60))))
        assert (learned.radius >= 0.4).all() and (learned.radius <= 6).all()
        assert (learned.weight >= 0.2).all() and (learned.weight <= 5).all()


def test_more_is_expected_where_it_was_better() -> None:
    lessons = taught(tried(0.9, X=0.7), tried(1.1, X=0.3), tried(0.95, KIND="b"), tried(1.2, KIND="c"))
    places = np.tile(lessons.here, (4, 1))
    places[0, 0], places[1, 0], places[2, 2], places[3, 2] = 5.6, 2.4, 1, 2
    up, down, b, c = expected_gain(lessons, places)
    assert up > down >= 0 and b > c >= 0


def test_a_trial_whose_parent_had_no_score_teaches_nothing() -> None:
    orphan = Tried(1, "b", "mutate", "", "c", "base", None, {**knobs(GENOME), "X": 0.9}, Completed(0.1), True)
    assert len(taught(orphan).effects) == 0


@given(st.lists(st.tuples(st.floats(-1e308, 1e308), st.floats(-1e308, 1e308), st.floats(0, 1)), max_size=8))
def test_no_score_is_too_large_to_learn_from(scores: list[tuple[float, float, float]]) -> None:
    lessons = taught(*(tried(score, before, X=x) for score, before, x in scores))
    gain = expected_gain(lessons, lessons.here[None] + 1)
    assert np.isfinite(lessons.effects).all() and math.isfinite(gain[0]) and gain[0] >= 0


@pytest.mark.parametrize(
    ("name", "value"), [("X", "wide"), ("X", 10**70), ("X", -1e308), ("KIND", 3), ("Y", True)]
)
def test_another_genomes_knobs_of_another_kind_teach_nothing_wrong(name: str, value: Knob) -> None:
    moved = structs.replace(tried(0.9), knobs={**knobs(GENOME), name: value})
    lessons = taught(moved)
    assert np.isfinite(lessons.places).all() and np.isfinite(factors(lessons).radius).all()
