"""The loop: what is recorded, what git shows, and that a run survives being cut anywhere."""

import math
from pathlib import Path

import pytest

from population.genome import knobs
from population.policy import POLICIES, PolicyName
from population.records import (
    Completed,
    Crashed,
    Event,
    Finished,
    Lost,
    Outcome,
    Refused,
    Report,
    TimedOut,
    Usage,
)
from population.runs import RunFolder
from population.state import Population
from tests.population.searches import begun, git, make_run, make_task, refs, searched, valley
from trainer.errors import BadInput


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return make_task(tmp_path / "task")


def events(folder: RunFolder) -> list[Event]:
    with begun(folder) as search:
        return [entry.event for entry in search.journal.entries]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_spends_its_trials_and_finds_something_better(
    tmp_path: Path, task: Path, policy: PolicyName
) -> None:
    population = searched(make_run(tmp_path, task, policy, trials=20)).population
    assert population.finished == 20
    assert population.best is not None and population.best.score is not None
    assert population.best.score < valley((task / "train.py").read_text()).score  # type: ignore[union-attr]


def test_the_same_seed_makes_the_same_decisions(tmp_path: Path, task: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first, again = (searched(make_run(home, task, trials=15)).population for home in (one, two))
    told = [
        [
            (t.candidate.lineage, t.candidate.idea, t.score, t.verdict, t.judged_because)
            for t in p.trials.values()
        ]
        for p in (first, again)
    ]
    assert told[0] == told[1]


def test_another_seed_makes_others(tmp_path: Path, task: Path) -> None:
    ideas = [
        [t.candidate.idea for t in searched(make_run(tmp_path, task, seed=seed)).population.trials.values()]
        for seed in (1, 2)
    ]
    assert ideas[0] != ideas[1]


def test_git_shows_every_candidate_and_every_tip(tmp_path: Path, task: Path) -> None:
    population = searched(make_run(tmp_path, task)).population
    shown = refs(task, "run0")
    assert shown == _wanted(population)
    parents = git(task, "rev-list", "--parents", "refs/lineages/run0/trials/0003", "-1").split()
    assert tuple(parents[1:]) == population.trials[3].candidate.parents


def test_no_genome_is_tried_twice(tmp_path: Path, task: Path) -> None:
    tried: list[str] = []

    def remember(text: str) -> Outcome:
        tried.append(str(knobs(text)))
        return valley(text)

    searched(make_run(tmp_path, task, trials=40), remember)
    assert len(tried) == len(set(tried)) == 40


@pytest.mark.parametrize(
    "failure", [Crashed("ValueError: no"), TimedOut("training", 5.0), Refused("looks ahead")]
)
def test_failures_never_advance_and_never_end_the_run(tmp_path: Path, task: Path, failure: Outcome) -> None:
    done = 0

    def fails_mostly(text: str) -> Outcome:
        nonlocal done
        done += 1
        return failure if done > 1 and done % 3 else valley(text)

    population = searched(make_run(tmp_path, task, trials=18), fails_mostly).population
    assert population.finished == 18
    assert not [t for t in population.trials.values() if t.score is None and t.verdict == "advance"]
    assert sum(t.score is None for t in population.trials.values()) == 11


def test_a_score_that_is_not_a_number_stops_the_run_rather_than_enter_the_journal(
    tmp_path: Path, task: Path
) -> None:
    folder = make_run(tmp_path, task)
    with pytest.raises(ValueError, match="score"):
        searched(folder, lambda text: Completed(math.nan))
    assert not [event for event in events(folder) if isinstance(event, Finished)]


def test_a_run_cut_at_any_line_or_within_one_resumes_to_its_end(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=5)
    searched(folder)
    whole = folder.journal.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [0, *ends[:-1], *(end - 30 for end in ends)]:
        folder.journal.write_bytes(whole[:cut])
        search = searched(folder)
        kept = whole[: whole[:cut].rfind(b"\n") + 1]
        assert folder.journal.read_bytes().startswith(kept)
        _check_whole(search.population, [entry.event for entry in search.journal.entries])
        shown, wanted = refs(task, "run0"), _wanted(search.population)
        assert {ref: shown.get(ref) for ref in wanted} == wanted


def _check_whole(population: Population, events: list[Event]) -> None:
    assert population.ended is not None
    finished = [event.trial for event in events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished)) == 5
    lost = [event.trial for event in events if isinstance(event, Lost)]
    assert sorted(finished + lost) == sorted(population.trials)
    assert len(lost) <= 1


def _report(outcome: Outcome) -> Report:
    return Report(outcome, Usage(started_at=0.0))


def _wanted(population: Population) -> dict[str, str]:
    run = population.run.run
    ready = [population.candidates[n] for line in population.lineages.values() for n in line.ready]
    tips = {f"refs/heads/lineages/{run}/{line.name}": line.tip for line in population.lineages.values()}
    trials = {
        f"refs/lineages/{run}/trials/{number:04d}": trial.candidate.commit
        for number, trial in population.trials.items()
    }
    return tips | trials | {f"refs/lineages/{run}/ready/{c.number:04d}": c.commit for c in ready}


def test_two_schedulers_on_one_run_are_refused(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task)
    with begun(folder), pytest.raises(BadInput, match="another scheduler"), begun(folder):
        pass


def test_ctrl_c_ends_the_run_after_the_trial_under_way_and_it_can_go_on(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=6)
    with begun(folder) as search:

        def interrupts(text: str) -> Outcome:
            search.interrupt(2, None)
            return valley(text)

        search.backend._train = lambda order, watch: _report(interrupts(order.genome))  # type: ignore[attr-defined]
        search.run()
        assert search.population.ended == "stopped by hand"
        assert search.population.finished == 1
    assert searched(folder).population.finished == 6


def test_a_second_ctrl_c_loses_the_trial_under_way_and_says_so(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=6)
    with begun(folder) as search:

        def impatient(text: str) -> Outcome:
            search.interrupt(2, None)
            search.interrupt(2, None)
            return valley(text)

        search.backend._train = lambda order, watch: _report(impatient(order.genome))  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            search.run()
        search.give_up()
    assert [event.trial for event in events(folder) if isinstance(event, Lost)] == [1]
    assert searched(folder).population.finished == 6
