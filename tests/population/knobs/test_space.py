"""Whatever a comment states and a knob says, its axis keeps to the range and the kind, or there is none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.genome import Interval, constants, rewrite
from population.knobs.space import Axis, axes
from population.records import Knob

wild = st.one_of(
    st.sampled_from([5e-324, 1e-323, 1e-310, 1e-100, 1e100, 1e308, 2**53, 2**200, 10**70, 0.5, 2.6, 3.4]),
    st.sampled_from([-1.0, 1.0]).flatmap(lambda sign: st.floats(0, 1e308).map(lambda n: sign * n)),
    st.integers(-(10**70), 10**70),
    st.integers(-20, 20),
    st.floats(-10, 10),
)
scales = st.sampled_from(["", ", log", ", power of two"]) | wild.map(lambda step: f", step {step}")


def axis_of(line: str) -> Axis:
    (axis,) = axes(constants(line).values())
    return axis


def listed(line: str) -> tuple[Knob, ...] | None:
    return axis_of(line).values(100)


@given(wild, wild, wild, scales, st.floats(-1e9, 1e9), st.integers(0, 2))
def test_no_range_makes_an_axis_raise_or_leave_it(
    value: float, low: float, high: float, scale: str, coordinate: float, finer: int
) -> None:
    text = f"X = {value}  # {low} to {high}{scale}"
    for axis in axes(constants(text).values()):
        found, stated = axis.value(coordinate, finer), constants(text)["X"].range
        assert isinstance(found, int | float) and type(found) is type(value)
        assert not isinstance(stated, Interval) or float(stated.low) <= found <= float(stated.high)
        for option in axis.values(50) or ():
            assert isinstance(option, int | float) and type(option) is type(value)
            assert axis.low <= option <= axis.high
        assert all(map(math.isfinite, axis.bounds)) and axis.bounds[0] <= axis.bounds[1]
        rewrite(text, {"X": found})


@given(wild)
def test_no_value_without_a_range_makes_an_axis_raise(value: float) -> None:
    for name in ("X", "X_LR"):
        for axis in axes(constants(f"{name} = {value}").values()):
            assert type(axis.value(3.0)) is type(value)


@pytest.mark.parametrize("line", [
    "X = 6  # 5 to 7, power of two", "X = 1.0  # -1e308 to 1e308", "X = 0.1  # 1e-323 to 1, log",
    "X = 3  # 2.6 to 3.4", "X = 0.2  # 0 to 1, step 5", "X = 3  # 0.5 to 4.5, step 1", "X = 1  # one of 1, 1",
    "X = 1e-323", "X = 1e308", "X = 10**70",
])  # fmt: skip
def test_a_knob_without_room_to_move_is_left_alone(line: str) -> None:
    assert axes(constants(line).values()) == ()


@pytest.mark.parametrize("name", ["SEED", "DATA_SEED", "SEEDS"])
def test_seeds_have_no_axis(name: str) -> None:
    assert axes(constants(f"{name} = 42  # 0 to 1000\nDEPTH = 2").values()) == axes(
        constants("DEPTH = 2").values()
    )


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("X = 3  # 0.5 to 4.5", (1, 2, 3, 4)),
        ("X = 3  # 1 to 4, log", (1, 2, 3, 4)),
        ("X = 8  # 3 to 40, power of two", (4, 8, 16, 32)),
        ("X = 0.5  # 0 to 1, step 0.3", (0.0, 0.3, 0.6, 0.9)),
        ("X = -2  # -3 to -1, step 1", (-3, -2, -1)),
        ("X = 0.5  # one of 1, 2, 1", (0.5, 1.0, 2.0)),
        ("X = True", (False, True)),
        ("X = 0.5  # 0 to 1", None),
        ("X = 5  # 0 to 100", None),
    ],
)
def test_values_that_can_be_counted_are_listed(line: str, values: tuple[Knob, ...] | None) -> None:
    assert listed(line) == values


counted = st.sampled_from([
    "X = 3  # 0.5 to 9", "X = 3  # 1 to 40, log", "X = 8  # 3 to 90, power of two",
    "X = 4.0  # 1 to 64, power of two", "X = 0.5  # 0 to 1, step 0.05", "X = -2  # -30 to -1, step 1",
])  # fmt: skip


@given(counted, st.floats(-99, 99))
def test_the_values_of_a_counted_axis_are_those_listed(line: str, coordinate: float) -> None:
    axis, values = axis_of(line), listed(line) or ()
    assert axis.value(coordinate) in values
    assert tuple(axis.value(axis.coordinate(value) or 0.0) for value in values) == values


def test_a_person_writes_two_digits_and_a_last_resort_more() -> None:
    axis = axis_of("LR = 0.04  # 0.001 to 0.5, log")
    assert axis.value(-3.3) == pytest.approx(0.26, abs=0) and axis.value(-3.3, finer=2) == 0.2624
    assert axis_of("BASE = 200000  # 1000 to 1000000, log").value(29.0) == 130000
