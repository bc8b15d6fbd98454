"""Who ends and who gets the place: the untried first, and somebody always lives."""

from hypothesis import given
from hypothesis import strategies as st

from population.evidence import best
from population.promising.turnover import Pair, turnover
from population.records import (
    Assigned,
    Completed,
    Entry,
    Event,
    Finished,
    Founded,
    Judged,
    Proposed,
    Pruned,
    Usage,
)
from population.state import Population, apply, replay
from tests.population.histories import BASE, HEAD, candidate, histories, started

SIGMA = 0.006
PAIRS = (("brief", "scripted"), ("brief", "other"), ("another", "scripted"), ("another", "other"))


def told(population: Population, *events: Event) -> Population:
    for event in events:
        apply(population, Entry(population.entries + 1, 1e9, event))
    return population


def begun(*pairs: Pair) -> Population:
    """Lineages l1, l2, ... with these briefs and proposers, and a baseline of 1."""
    founded = [Founded(f"l{n}", *pair, BASE, "asked for") for n, pair in enumerate(pairs, start=1)]
    first = Proposed(candidate(1, "l1", (HEAD,), "baseline"))
    return told(Population(), started(), *founded, first, *trial(1, 1, 1.0, "advance"))


def trial(number: int, of: int, score: float, verdict: str) -> list[Event]:
    end = Finished(number, Completed(score), Usage(1e9))
    return [Assigned(number, of, 1, ""), end, Judged(number, verdict, "")]  # type: ignore[arg-type]


def tried(population: Population, lineage: str, gain: float) -> None:
    """A trial of the lineage's, so many sigmas better than the best tip there is."""
    tip = best(population) or BASE
    score = population.scores[tip][0] - gain * SIGMA
    number = len(population.candidates) + 1
    verdict = "advance" if gain > 0 else "discard"
    told(
        population,
        Proposed(candidate(number, lineage, (tip,))),
        *trial(len(population.trials) + 1, number, score, verdict),
    )


def raced(trials: int, pairs: tuple[Pair, ...] = PAIRS[:2]) -> Population:
    """The first lineage gained in every one of its trials, the others never did."""
    population = begun(*pairs)
    for _ in range(trials):
        for line in list(population.living):
            tried(population, line.name, 6.0 if line.name == "l1" else -6.0)
    return population


def test_a_free_place_goes_to_the_pair_that_nobody_has_tried() -> None:
    founded = turnover(begun(PAIRS[0], PAIRS[2]), 3, PAIRS)
    assert isinstance(founded, Founded)
    assert (founded.brief, founded.proposer) == PAIRS[1] and "nobody" in founded.reason


def test_a_free_place_goes_to_the_pair_that_gains_most_once_all_were_tried() -> None:
    founded = turnover(raced(6), 3, PAIRS[:2])
    assert isinstance(founded, Founded)
    assert (founded.brief, founded.proposer) == PAIRS[0] and "l1" in founded.reason


def test_a_new_lineage_begins_at_the_best_there_is() -> None:
    population = raced(3)
    founded = turnover(population, 3, PAIRS)
    assert isinstance(founded, Founded) and founded.tip == best(population) != BASE
    assert founded.lineage not in population.lineages


def test_a_lineage_that_fell_behind_is_pruned_after_a_fair_trial_and_not_before() -> None:
    assert turnover(raced(5), 2, PAIRS) is None
    pruned = turnover(raced(12), 2, PAIRS)
    assert isinstance(pruned, Pruned) and pruned.lineage == "l2"


def test_nobody_is_pruned_for_gaining_less_than_a_lineage_that_was_hardly_tried() -> None:
    population = begun(*PAIRS[:2])
    for _ in range(12):
        tried(population, "l1", -6.0)
    assert turnover(population, 2, PAIRS) is None
    for _ in range(12):
        tried(population, "l2", -6.0)
    assert turnover(population, 2, PAIRS) is None


def test_nobody_is_pruned_where_all_gain_alike() -> None:
    population = begun(*PAIRS[:2])
    for _ in range(12):
        for name in ("l1", "l2"):
            tried(population, name, 6.0)
    assert turnover(population, 2, PAIRS) is None


def test_a_lineage_is_not_pruned_to_be_founded_again_as_it_was() -> None:
    population = raced(12, pairs=(PAIRS[0], PAIRS[0]))
    assert turnover(population, 2, PAIRS[:1]) is None


def test_places_that_are_pruned_are_filled_with_what_is_untried_until_nothing_is() -> None:
    population = raced(12)
    seen = [PAIRS[0], PAIRS[1]]
    while isinstance(change := turnover(population, 2, PAIRS), Pruned | Founded):
        told(population, change)
        if isinstance(change, Founded):
            seen.append((change.brief, change.proposer))
            for _ in range(10):
                tried(population, change.lineage, -6.0)
                tried(population, "l1", 6.0)
        if len(seen) == 4:
            break
    assert sorted(seen) == sorted(PAIRS)


@given(histories(), st.integers(1, 4))
def test_the_last_living_lineage_is_never_pruned_and_no_name_is_given_twice(
    entries: list[Entry], slots: int
) -> None:
    population = replay(entries)
    change = turnover(population, slots, PAIRS)
    assert not isinstance(change, Pruned) or len(population.living) > 1
    assert not isinstance(change, Founded) or change.lineage not in population.lineages
    assert not isinstance(change, Founded) or len(population.living) < slots


def test_without_briefs_to_give_nothing_changes() -> None:
    assert turnover(raced(12), 3, ()) is None
