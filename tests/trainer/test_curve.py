import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.curve import PARTS, Curving, behind

TOLD = st.lists(st.tuples(st.floats(0, 1), st.floats(allow_nan=False)))


def test_a_part_of_the_budget_has_the_mean_of_what_was_told_in_it() -> None:
    curve = Curving()
    for fraction, loss in ((0.0, 4.0), (0.04, 3.0), (0.06, 2.0), (1.0, 1.0)):
        curve.tell(fraction, loss)
    assert curve.until(1.0) == (3.5, 2.0, *(None for _ in range(PARTS - 3)), 1.0)


def test_a_part_that_is_not_over_is_left_out() -> None:
    curve = Curving()
    curve.tell(0.01, 4.0)
    curve.tell(0.07, 3.0)
    assert [curve.until(f) for f in (0.0, 0.049, 0.05, 0.1)] == [(), (), (4.0,), (4.0, 3.0)]


@given(TOLD, st.floats(0, 1))
def test_whatever_is_told_a_curve_is_short_and_finite(told: list[tuple[float, float]], until: float) -> None:
    curve = Curving()
    for fraction, loss in told:
        curve.tell(fraction, loss)
    means = curve.until(until)
    assert len(means) <= until * PARTS
    assert all(mean is None or abs(mean) <= 1e6 for mean in means)
    assert not means or means[-1] is not None


def test_who_goes_beyond_a_limit_is_behind_from_the_first_part_on_that_does() -> None:
    limits = (None, None, 3.0, 2.0)
    assert behind((4.0, 3.1, 2.9), limits) is None
    assert behind((4.0, 3.2, 2.9), limits) == (pytest.approx(3.05), 3.0)
    assert behind((4.0, None, 9.0), limits) is None  # half of it is not known
    assert behind((4.0, 3.0, 3.0, 3.0, 99.0), limits) == (3.0, 2.0)
