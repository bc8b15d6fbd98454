"""What has started up is known by the trial that it may follow."""

from population.begun import Ahead

ONE, TWO, OTHER = (1, "tip"), (2, "tip"), (3, "tip")


def test_for_a_gpu_that_is_free_it_counts_what_starts_up_there_and_not_elsewhere() -> None:
    ahead = Ahead()
    ahead.begin(7, [ONE])
    ahead.begin(8, [TWO, OTHER])
    assert ahead.waiting(running=[7]) == (TWO, OTHER)
    assert ahead.waiting(running=[8]) == (ONE,)
    assert ahead.waiting(running=[7, 8]) == (ONE, TWO, OTHER)


def test_what_has_its_turn_takes_the_place_where_it_began_and_the_others_there_are_gone() -> None:
    ahead = Ahead()
    ahead.begin(7, [ONE])
    ahead.begin(8, [TWO, OTHER])
    ahead.take(TWO, running=[])
    assert ahead.waiting(running=[]) == (ONE,) and not ahead.has(8)


def test_another_than_those_that_began_takes_the_place_of_some_all_the_same() -> None:
    ahead = Ahead()
    ahead.begin(7, [ONE])
    ahead.take(OTHER, running=[])
    assert not ahead.has(7) and ahead.waiting(running=[]) == ()
    ahead.begin(8, [TWO])
    ahead.take(OTHER, running=[8])
    assert ahead.has(8)


def test_with_its_machine_what_started_up_there_is_lost() -> None:
    ahead = Ahead()
    ahead.begin(7, [ONE])
    ahead.lose(7)
    assert ahead.waiting(running=[]) == ()
