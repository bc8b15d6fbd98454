"""What a run's scores say of its commits: noise, shrinkage, lucky bases, sessions, combinations."""

from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from population.evidence import Estimate, Evidence, best, better, weigh
from population.records import (
    Adopted,
    Assigned,
    Completed,
    Entry,
    Finished,
    Founded,
    Judged,
    Proposed,
    Resumed,
    Usage,
)
from population.state import Population, replay
from tests.population.histories import BASE, HEAD, candidate, histories, started
from tests.population.measured import SIGMA, Run

ESTIMATES = st.builds(Estimate, st.floats(-10, 10), st.floats(1e-6, 10), st.just(1))


@given(ESTIMATES, ESTIMATES)
def test_one_is_better_or_the_other(one: Estimate, other: Estimate) -> None:
    assert better(one, other) + better(other, one) == pytest.approx(1)
    assert (better(one, other) >= 0.5) == (one.mean <= other.mean) or one.mean == pytest.approx(other.mean)


def test_without_repeats_the_noise_is_what_is_known_of_the_machine() -> None:
    run = Run()
    run.tried(-3.0), run.tried(2.0)
    assert run.evidence.sigma == pytest.approx(SIGMA)
    assert Run(profile="h100").evidence.sigma == pytest.approx(4e-4)


@pytest.mark.parametrize(("spread", "least", "most"), [(0.2, 0.2, 0.6), (4.0, 3.0, 4.5)])
def test_the_noise_is_learned_from_repeats(spread: float, least: float, most: float) -> None:
    run = Run()
    for n in range(14):
        run.measured(1, spread * (-1) ** n)
    assert least * SIGMA < run.evidence.sigma < most * SIGMA
    few = Run()
    few.measured(1, spread)
    assert abs(few.evidence.sigma - SIGMA) < abs(run.evidence.sigma - SIGMA)


def test_differences_between_genomes_teach_nothing_of_the_noise() -> None:
    run = Run()
    for n in range(10):
        run.tried(20.0 * n)
    assert run.evidence.sigma == pytest.approx(SIGMA)


def test_repeats_narrow_what_is_known_of_a_commit() -> None:
    run = Run()
    deviations = [run.sd(1)]
    for n in range(4):
        run.measured(1, 1.0 if n % 2 else -1.0)
        deviations.append(run.sd(1))
    assert deviations == sorted(deviations, reverse=True)
    assert run.evidence.estimates[BASE].trials == 5


def test_a_gain_that_is_seen_again_is_believed_more() -> None:
    run = Run()
    number = run.tried(-2.0, "confirm")
    once = run.p_better(number)
    run.measured(number, -2.0)
    assert run.p_better(number) > once


def test_a_single_small_gain_is_believed_by_half_or_less() -> None:
    run = Run()
    number = run.tried(-2.0, "advance")
    assert -1.6 < run.sigmas(number) < 0.0
    assert run.sigmas(1) == pytest.approx(0.0, abs=1e-6)


@given(st.floats(-20, 20), st.floats(0.1, 10))
def test_of_two_changes_the_one_that_scored_better_is_likelier_a_gain(sigmas: float, more: float) -> None:
    run = Run()
    worse, good = run.tried(sigmas), run.tried(sigmas - more)
    assert run.p_better(good) >= run.p_better(worse)


def test_a_crash_says_nothing_of_any_score() -> None:
    run = Run()
    number = run.tried(None)
    assert number not in run.evidence.effects
    assert run.evidence.estimates.keys() == {BASE}


def test_before_the_baseline_has_a_score_there_is_no_evidence() -> None:
    assert best(Population()) is None
    population = replay([Entry(1, 1.0, started())])
    assert weigh(population) == Evidence(0.0, 0.0, {}, {})
    assert best(population) is None


def test_a_base_that_was_lucky_is_found_out_by_what_was_tried_from_it() -> None:
    run = Run()
    lucky = run.tried(-4.0, "advance")
    before = run.sigmas(lucky)
    for n in range(12):
        run.tried(-1.0 + 0.1 * (n % 3), base=lucky)
    assert run.sigmas(lucky) > before + 0.3


def test_a_base_that_was_unlucky_is_found_out_as_well() -> None:
    run = Run()
    for n in range(12):
        run.tried(-3.0 + 0.1 * (n % 3), "discard")
    assert run.sigmas(1) < -0.3


def noisy() -> Run:
    """A run that knows its sigma."""
    run = Run()
    for n in range(4):
        run.measured(1, 1.0 if n % 2 else -1.0)
    return run


def test_where_nothing_works_a_run_learns_to_doubt() -> None:
    run = noisy()
    early = run.tried(-2.0, "confirm")
    before = run.p_better(early)
    for n in range(60):
        run.tried([-1.4, -0.9, -0.5, -0.2, 0.0, 0.2, 0.5, 0.9, 1.4][n % 9])
    assert run.p_better(early) < before


def test_where_gains_are_common_a_run_learns_to_believe() -> None:
    run = noisy()
    early = run.tried(-2.0, "confirm")
    before = run.p_better(early)
    for n in range(30):
        run.tried(-6.0 - n % 4)
    assert run.p_better(early) > before


OFFSET = 5.0


def resumed(again: bool) -> tuple[Run, int, int]:
    """A run with a champion, and a later commit that is better, in a session that scores all of it higher."""
    run = Run()
    for sigmas in (1.0, -1.0, 0.5, -0.5):
        run.measured(1, sigmas)
    champion = run.tried(-6.0, "advance")
    run.measured(champion, -6.0)
    run.tell(Resumed())
    if again:
        run.measured(champion, -6.0 + OFFSET)
        run.measured(1, OFFSET)
    new = run.tried(-10.0 + OFFSET, "confirm", base=champion)
    return run, champion, new


def test_a_session_that_scores_all_higher_does_not_make_old_commits_look_better() -> None:
    run, champion, new = resumed(again=True)
    blind, _, same = resumed(again=False)
    assert run.p_better(new) > 0.9 > blind.p_better(same)
    assert best(run.population) == run.commit(champion)
    assert run.sigmas(1) - run.sigmas(champion) == pytest.approx(6.0, abs=1.5)


def test_a_session_that_measures_the_champion_alone_again_still_sees_a_gain() -> None:
    run = Run()
    champion = run.tried(-6.0, "advance")
    run.measured(champion, -6.0)
    before = run.sigmas(1) - run.sigmas(champion)
    run.tell(Resumed())
    run.measured(champion, -6.0 + OFFSET)
    new = run.tried(-12.0 + OFFSET, "confirm", base=champion)
    assert run.p_better(new) > 0.7
    assert run.sigmas(1) - run.sigmas(champion) > before / 2
    assert best(run.population) == run.commit(champion)


def test_a_session_like_the_last_one_changes_next_to_nothing() -> None:
    run = Run()
    champion = run.tried(-6.0, "advance")
    before = run.sigmas(champion)
    run.tell(Resumed())
    run.measured(champion, -6.0)
    assert run.sigmas(champion) == pytest.approx(before, abs=0.7)


@pytest.mark.parametrize("sigmas", [-6.0, 6.0])
def test_a_combination_teaches_what_its_parts_are_worth(sigmas: float) -> None:
    run = Run()
    parts = run.tried(-1.0, "confirm"), run.tried(-1.2, "confirm")
    before = [run.evidence.effects[part] for part in parts]
    run.tried(sigmas, "confirm", operator="merge", combines=parts)
    after = [run.evidence.effects[part] for part in parts]
    for early, late in zip(before, after, strict=True):
        assert (late.p_better > early.p_better) == (late.mean < early.mean) == (sigmas < 0)


def test_taking_something_out_teaches_what_it_was_worth() -> None:
    for sigmas, worth in ((5.0, True), (-5.0, False)):
        run = Run()
        part = run.tried(-2.5, "advance")
        before = run.evidence.effects[part].mean
        run.tried(-2.5 + sigmas, base=part, operator="ablate", combines=(part,))
        assert (run.evidence.effects[part].mean < before) == worth


def test_parts_that_were_gains_make_a_combination_likelier_one() -> None:
    good, bad = Run(), Run()
    for run, sigmas in ((good, -3.0), (bad, 3.0)):
        parts = run.tried(sigmas), run.tried(sigmas)
        run.tried(-0.5, operator="merge", combines=parts)
    assert good.p_better(4) > bad.p_better(4)


@pytest.mark.parametrize("gained", [1e-4, 1e-2, 0.5])
def test_a_task_without_noise_is_taken_at_its_word(gained: float) -> None:
    run = Run()
    for _ in range(2):
        run.measured(1, 0.0)
    better_one, worse = run.tried(-gained / SIGMA, "advance"), run.tried(gained / SIGMA)
    assert run.p_better(better_one) > 0.99 and run.p_better(worse) < 0.01
    assert best(run.population) == run.commit(better_one)
    assert run.sigmas(better_one) * SIGMA == pytest.approx(-gained, rel=0.05)


@pytest.mark.parametrize("sigmas", [-1e3, -1e6])
def test_a_huge_difference_is_taken_nearly_at_face_value(sigmas: float) -> None:
    run = Run()
    number = run.tried(sigmas, "advance")
    assert run.sigmas(number) == pytest.approx(sigmas, rel=0.05)
    assert run.sigmas(1) == pytest.approx(0.0, abs=1.0)
    again = run.tried(sigmas + 1, base=number)
    assert run.p_better(again) < 0.5


@pytest.mark.parametrize("sigmas", [1e3, 1e6])
def test_a_hugely_worse_child_does_not_move_its_base(sigmas: float) -> None:
    run = Run()
    for n in range(5):
        run.tried(sigmas + n)
    assert run.sigmas(1) == pytest.approx(0.0, abs=1.5)
    number = run.tried(-3.0, "advance")
    assert run.sigmas(number) < 0 and best(run.population) == run.commit(number)


@pytest.mark.parametrize("level", [0.0, 1e-12, -3.0, 1e9])
def test_no_level_of_scores_is_an_obstacle(level: float) -> None:
    run = Run()
    run.population = replay([])
    run.tell(started())
    run.tell(Founded("l1", "brief", "scripted", BASE, "asked for"))
    run.tell(Proposed(candidate(1, "l1", (HEAD,), "baseline")))
    for trial, verdict in ((1, "advance"), (2, "confirm"), (3, "confirm")):
        run.tell(Assigned(trial, 1, trial, ""))
        run.tell(Finished(trial, Completed(level), Usage(1e9)))
        run.tell(Judged(trial, verdict, ""))  # type: ignore[arg-type]
    number = run.tried((level / 2 + 1e-3 - 1) / SIGMA)
    assert run.evidence.sigma > 0 and best(run.population) == BASE
    assert 0 <= run.p_better(number) <= 1


@pytest.mark.parametrize("policy", ["greedy", "round-robin", "best-of-n"])
def test_the_best_of_single_scores_is_the_best_tip(policy: str) -> None:
    run = Run(policy)
    number = run.tried(-0.1, "advance")
    run.tried(-9.0, "discard", base=number)
    assert best(run.population) == run.commit(number)


def test_the_best_of_single_scores_is_the_simpler_of_equals() -> None:
    run = Run("greedy")
    run.tell(Founded("l2", "brief", "scripted", BASE, "asked for"))
    simpler = run.tried(0.0, "advance", complexity=9)
    assert best(run.population) == run.commit(simpler)


def test_the_best_of_promise_is_the_best_posterior_and_not_the_best_score() -> None:
    run = Run()
    lucky, solid = run.tried(-3.0, "advance"), run.tried(-2.8, "advance")
    for n in range(6):
        run.measured(solid, -3.8 if n % 2 else -1.8)
    assert best(run.population) == run.commit(solid)
    assert run.population.scores[run.commit(lucky)] < run.population.scores[run.commit(solid)]


def test_evidence_is_remembered_until_there_is_more_of_it() -> None:
    run = Run()
    before = run.evidence
    assert run.evidence is before
    number = run.tried(-1.0, "discard")
    after = run.evidence
    assert after is not before
    run.tell(Adopted("l1", run.commit(number), "to look around"))
    assert run.evidence is not after and run.commit(number) in run.evidence.estimates


@given(histories())
def test_evidence_of_any_history_is_finite_and_covers_what_was_measured(entries: list[Entry]) -> None:
    population = replay(entries)
    assume(population.baseline_score is not None)
    evidence = weigh(population)
    assert evidence.estimates.keys() == population.bases.keys()
    for estimate in evidence.estimates.values():
        assert abs(estimate.mean) < 10 and 0 < estimate.sd < 1
    bases = population.bases.keys()
    measured = {
        number for number in population.tried if population.candidates[number].commit in population.scores
    }
    assert (
        {n for n in measured if population.candidates[n].base in bases} <= evidence.effects.keys() <= measured
    )
    for effect in evidence.effects.values():
        assert 0 <= effect.p_better <= 1 and effect.hope >= 0


@given(histories(), st.sampled_from(["promise", "greedy"]))
def test_the_best_is_never_worse_than_any_tip(entries: list[Entry], policy: str) -> None:
    entries = [Entry(1, entries[0].at, started(policy=policy)), *entries[1:]]
    population = replay(entries)
    found = best(population)
    known: Mapping[str, float | None] = {c: e.mean for c, e in weigh(population).estimates.items()}
    if policy == "greedy":
        known = {line.tip: population.score(line.tip) for line in population.lineages.values()}
    scores = [score for score in known.values() if score is not None]
    assert (found is None) == (not scores)
    assert found is None or known[found] == min(scores)
