"""The loop: what is recorded, what git shows, and that a run survives being cut anywhere."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from population.backend import Answered, Gone, Inline, Message, Trained
from population.genome import knobs
from population.lineage import Mind
from population.policy import POLICIES, PolicyName
from population.proposers import Request
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
from population.search import MachineFailed, Search
from population.state import Population
from tests.population.searches import begun, git, make_run, make_task, refs, searched, valley
from trainer.errors import BadInput
from trainer.examiner import ExamFailed


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
    with pytest.raises(AssertionError, match="finite"):
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


def test_a_second_ctrl_c_ends_at_once_and_leaves_a_journal_that_goes_on(tmp_path: Path, task: Path) -> None:
    for after in range(1, 9):
        folder = make_run(tmp_path, task, trials=6, seed=after)
        with begun(folder) as search:
            _interrupt(search, after, times=2)
            search.run()
        assert search.population.ended == "stopped by hand"
        assert searched(folder).population.finished == 6


def _interrupt(search: Search, after: int, times: int) -> None:
    """Ctrl-C, so many times at once, when the loop waits for its message number `after`."""
    wait, left = search.backend.wait, [after]

    def counted(timeout_s: float) -> Message | None:
        left[0] -= 1
        if left[0] == 0:
            search.interrupts += times
        return wait(timeout_s)

    search.backend.wait = counted  # type: ignore[method-assign]


class Mortal(Inline):
    """Machines that die: the trainer under the first `trials` it is given, a lineage's mind always."""

    def __init__(self, minds: Mapping[str, Mind], trials: int = 0, lineage: str | None = None) -> None:
        super().__init__(minds, lambda order, watch: _report(valley(order.genome)))
        self.trials, self.lineage = trials, lineage

    def wait(self, timeout_s: float) -> Message | None:
        message = super().wait(timeout_s)
        if isinstance(message, Trained) and self.trials:
            self.trials -= 1
            return Gone(None, "killed")
        if isinstance(message, Answered) and message.lineage == self.lineage:
            return Gone(message.lineage, "killed")
        return message


def test_a_trial_whose_trainer_dies_is_lost_once_and_run_again(tmp_path: Path, task: Path) -> None:
    with begun(make_run(tmp_path, task, trials=3), machines=lambda minds: Mortal(minds, trials=1)) as search:
        search.run()
    first, again, *_ = search.population.trials.values()
    assert first.lost == "killed" and again.candidate == first.candidate and again.score is not None
    assert search.population.finished == 3


def test_a_candidate_under_which_trainers_die_is_not_run_a_third_time(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=3)
    with begun(folder, machines=lambda minds: Mortal(minds, trials=2)) as search:
        search.run()
    assert isinstance(search.population.trials[2].outcome, Crashed)
    assert "baseline has no score" in (search.population.ended or "")
    assert searched(folder).population.baseline_score is not None  # a failed baseline gets another chance


def test_an_exam_that_the_machine_failed_is_held_again(tmp_path: Path, task: Path) -> None:
    failures = [ExamFailed("killed by SIGKILL")]

    def unlucky(text: str) -> Outcome:
        if failures:
            raise failures.pop()
        return valley(text)

    population = searched(make_run(tmp_path, task, trials=2), unlucky).population
    assert population.trials[1].lost == "killed by SIGKILL"
    assert population.trials[2].candidate == population.trials[1].candidate
    assert population.finished == 2


def test_a_machine_that_always_dies_stops_the_run(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=30)
    with begun(folder) as search:
        _interrupt(search, after=3, times=1)
        search.run()
    with begun(folder, machines=lambda minds: Mortal(minds, trials=99)) as search:
        with pytest.raises(MachineFailed, match="in a row were lost: killed"):
            search.run()
        assert search.population.finished < 5


def test_a_lineage_whose_mind_always_dies_steps_aside(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=12)
    with begun(folder, machines=lambda minds: Mortal(minds, lineage="birch")) as search:
        search.run()
    assert search.population.finished == 12
    assert not search.population.lineages["birch"].trials


def test_what_two_minds_think_of_at_once_is_tried_once(tmp_path: Path) -> None:
    small = make_task(tmp_path / "small", "A = True\nB = True\nC = True\nprint(A, B, C)\n")
    tried: list[str] = []

    def remember(text: str) -> Outcome:
        tried.append(str(knobs(text)))
        return Completed(1.0 + sum(map(bool, knobs(text).values())))

    searched(make_run(tmp_path, small, trials=30, lineages=4), remember)
    assert len(tried) == len(set(tried))


def test_what_is_exported_shows_every_verdict(
    tmp_path: Path, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("population.search.EXPORT_EVERY_S", -1.0)
    exported: list[tuple[int, int]] = []
    with begun(
        make_run(tmp_path, task, trials=5), export=lambda p: exported.append((p.finished, len(p.unjudged)))
    ) as search:
        search.run()
    assert exported == [(n, 0) for n in range(1, 6)]


def test_the_next_mind_is_told_what_every_lineage_tried(tmp_path: Path, task: Path) -> None:
    requests: list[Request] = []
    with begun(make_run(tmp_path, task, trials=8)) as search:
        think = search.backend.think
        search.backend.think = lambda request: (requests.append(request), think(request))[1]  # type: ignore[method-assign]
        search.run()
    last = requests[-1]
    assert [tried.trial for tried in last.history] == list(range(1, len(last.history) + 1))
    assert len({tried.lineage for tried in last.history}) > 1
    assert last.hashes >= {c.genome_hash for c in list(search.population.candidates.values())[:-3]}
