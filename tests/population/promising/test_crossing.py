"""What is put together next: never what failed before, and in the end every change by itself."""

from hypothesis import given
from hypothesis import strategies as st

from population.promising.untried import untried
from population.records import Operator
from population.state import Combination, Population

SOME = st.lists(st.integers(1, 12), unique=True, max_size=9).map(tuple)
OPERATORS = st.sampled_from(["merge", "ablate", "venture"])
FAILED = st.sets(st.tuples(OPERATORS, st.frozensets(st.integers(1, 12), min_size=1)), max_size=12)


@given(SOME, FAILED, OPERATORS)
def test_what_is_tried_next_are_some_of_the_changes_in_their_order(
    some: tuple[int, ...], failed: set[Combination], operator: Operator
) -> None:
    found = untried(Population(combined=failed), operator, some)
    assert found == tuple(number for number in some if number in found)


@given(SOME, FAILED, OPERATORS)
def test_neither_what_failed_nor_all_of_it_with_others_nor_most_of_it_is_tried(
    some: tuple[int, ...], failed: set[Combination], operator: Operator
) -> None:
    found = frozenset(untried(Population(combined=failed), operator, some))
    for how, numbers in failed:
        if how == operator and found:
            assert not found >= numbers
            assert not found < numbers or len(found) <= len(numbers) / 2


@given(SOME, FAILED)
def test_what_failed_otherwise_is_no_reason_not_to_try(
    some: tuple[int, ...], failed: set[Combination]
) -> None:
    otherwise: set[Combination] = {(how, numbers) for how, numbers in failed if how != "venture"}
    assert untried(Population(combined=otherwise), "venture", some) == some


@given(SOME)
def test_if_everything_fails_each_was_tried_by_itself_and_then_it_ends(some: tuple[int, ...]) -> None:
    population, asked = Population(), 0
    while found := untried(population, "merge", some):
        population.combined.add(("merge", frozenset(found)))
        asked += 1
    assert asked <= 2 * len(some)
    assert {("merge", frozenset({number})) for number in some} <= population.combined


@given(st.sets(st.integers(1, 8), min_size=1), st.permutations(range(1, 9)))
def test_what_does_not_fit_is_told_from_what_does(bad: set[int], order: list[int]) -> None:
    population, good = Population(), set[int]()
    left = tuple(order)
    while found := untried(population, "venture", left):
        population.combined.add(("venture", frozenset(found)))
        if not bad & set(found):
            good |= set(found)
            left = tuple(number for number in left if number not in found)
    assert good == set(order) - bad and set(left) == bad


def test_what_failed_together_is_halved_and_halved_again() -> None:
    population, asked = Population(), []
    while found := untried(population, "ablate", tuple(range(8))):
        population.combined.add(("ablate", frozenset(found)))
        asked.append(found)
    assert asked[:5] == [tuple(range(8)), (0, 1, 2, 3), (0, 1), (0,), (1,)]
    assert asked[5:8] == [(2, 3), (2,), (3,)] and asked[8] == (4, 5, 6, 7)
