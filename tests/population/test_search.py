"""The loop: what is recorded, what git shows, and that a run survives being cut anywhere."""

import math
import subprocess
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from population.backend import Answered, Cut, Gone, Inline, Message, Trained
from population.evidence import best
from population.genome import knobs
from population.journal import read
from population.keeping.runs import RunFolder
from population.policy import POLICIES, PolicyName
from population.proposals import Request
from population.records import (
    Adopted,
    Candidate,
    Clashed,
    Combined,
    Completed,
    Crashed,
    Entry,
    Event,
    Finished,
    Lost,
    Outcome,
    Proposed,
    Pruned,
    Refused,
    Report,
    Thought,
    TimedOut,
    Usage,
)
from population.search import MachineFailed, Search
from population.state import Population, apply, replay
from tests.population.folders import in_memory
from tests.population.searches import (
    KNOBS,
    Shelved,
    begun,
    events_of,
    git,
    make_run,
    make_task,
    refs,
    rugged,
    searched,
    training,
    valley,
)
from trainer.curve import PARTS
from trainer.errors import BadInput
from trainer.examining.examiner import ExamFailed
from trainer.outcome import Progress
from trainer.trial import Order, Successor, alike

TINKER = ("tinker",)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return make_task(tmp_path / "task")


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_spends_its_trials_and_finds_something_better(
    tmp_path: Path, policy: PolicyName
) -> None:
    population = Shelved(tmp_path, policy, trials=20).searched()
    assert population.finished == 20
    found, baseline = best(population), population.baseline_score
    assert found is not None and baseline is not None
    assert (population.score(found) or math.inf) < baseline


@pytest.mark.parametrize("policy", ["greedy", "round-robin", "best-of-n"])
def test_the_control_arms_do_nothing_but_try_what_was_thought_of(tmp_path: Path, policy: PolicyName) -> None:
    run = Shelved(tmp_path, policy, trials=30, train=KNOBS)
    population = run.searched(rugged)
    kinds = Counter(type(event) for event in events_of(run.folder))
    assert not {Combined, Adopted, Pruned} & kinds.keys() and not population.replaced
    assert not [trial for trial in population.trials.values() if trial.again]
    assert {trial.verdict for trial in population.trials.values()} == {"advance", "discard"}
    tips = dict.fromkeys(population.lineages, population.trials[1].score)
    for trial in list(population.trials.values())[1:]:
        tip, score = tips[trial.candidate.lineage], trial.score
        assert tip is not None and score is not None and (trial.verdict == "advance") == (score < tip)
        tips[trial.candidate.lineage] = min(tip, score)


@pytest.mark.parametrize("policy", ["greedy", "round-robin", "best-of-n"])
def test_minds_of_the_control_arms_are_told_plain_scores_of_what_was_changed(
    tmp_path: Path, policy: PolicyName
) -> None:
    run = Shelved(tmp_path, policy, trials=15, train=KNOBS, proposers=TINKER)
    requests: list[Request] = []
    with run.begun(rugged) as search:
        think = search.backend.think
        search.backend.think = lambda request: (requests.append(request), think(request))[1]  # type: ignore[method-assign,func-returns-value]
        search.run()
    population, last = search.population, requests[-1]
    assert last.score == population.score(last.parent)
    for tried in last.history[1:]:
        assert tried.parent_score == population.score(tried.parent)
        assert (tried.parent,) == population.trials[tried.trial].candidate.parents


def told(folder: RunFolder) -> list[Event]:
    """A run's events without the time that thinking took."""
    return [_timeless(event) for event in events_of(folder)]


def _timeless(event: Event) -> Event:
    return Proposed(replace(event.candidate, thought=Thought())) if isinstance(event, Proposed) else event


def test_the_same_seed_makes_the_same_journal(tmp_path: Path) -> None:
    one, two = (Shelved(tmp_path / name, trials=40, train=KNOBS, proposers=TINKER) for name in ("one", "two"))
    one.searched(rugged), two.searched(rugged)
    assert told(one.folder) == told(two.folder)
    assert {Combined, Adopted} <= {type(event) for event in told(one.folder)}


def test_another_seed_makes_another_one(tmp_path: Path) -> None:
    one, two = (Shelved(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    one.searched(), two.searched()
    assert told(one.folder)[5:] != told(two.folder)[5:]


def test_git_shows_every_candidate_and_every_tip(tmp_path: Path, task: Path) -> None:
    population = searched(make_run(tmp_path, task)).population
    shown = refs(task, "run0")
    assert shown == _wanted(population)
    parents = git(task, "rev-list", "--parents", "refs/lineages/run0/trials/0003", "-1").split()
    assert tuple(parents[1:]) == population.trials[3].candidate.parents


@pytest.fixture(scope="module")
def crossed() -> Iterator[tuple[Path, Population]]:
    """A repository in which a run on several constants combined what it had found."""
    with in_memory() as home:
        task = make_task(home / "task", KNOBS)
        folder = make_run(home, task, trials=40, proposers=TINKER)
        with begun(folder, machines=lambda: Inline(rugged)) as search:
            search.run()
        yield task, search.population


def test_a_merge_has_two_parents_and_neither_is_an_ancestor_of_the_other(
    crossed: tuple[Path, Population],
) -> None:
    task, population = crossed
    merges = [c for c in population.candidates.values() if len(c.parents) > 1]
    assert merges
    for merge in merges:
        _, *parents = git(task, "rev-list", "--parents", "-1", merge.commit).split()
        assert tuple(parents) == merge.parents and len(set(parents)) == 2
        assert not _is_ancestor(task, *parents) and not _is_ancestor(task, *reversed(parents))


def test_every_merge_in_git_that_a_run_made_has_two_parents_apart(crossed: tuple[Path, Population]) -> None:
    task, _ = crossed
    listed = git(task, "rev-list", "--all", "--min-parents=2", "--parents").splitlines()
    assert listed
    for _, *parents in (line.split() for line in listed):
        assert len(set(parents)) == 2
        assert not _is_ancestor(task, *parents) and not _is_ancestor(task, *reversed(parents))


@pytest.mark.parametrize("seed", range(1, 7))
def test_no_merge_brings_together_what_one_side_holds_already(tmp_path: Path, seed: int) -> None:
    run = Shelved(tmp_path, trials=40, seed=seed, train=KNOBS, proposers=TINKER)
    population = run.searched(rugged)
    merges = {c: parents for c, parents in run.shelf.parents.items() if len(parents) > 1}
    for one, other in merges.values():
        assert one != other
        assert one not in run.shelf.behind(other) and other not in run.shelf.behind(one)
    for candidate in list(population.candidates.values())[1:]:
        assert candidate.base in run.shelf.behind(candidate.commit)


def test_every_base_of_a_candidate_is_behind_it_in_git(crossed: tuple[Path, Population]) -> None:
    task, population = crossed
    for candidate in population.candidates.values():
        assert _is_ancestor(task, candidate.base, candidate.commit)


def test_every_base_is_reachable_and_refs_show_what_the_journal_says(
    crossed: tuple[Path, Population],
) -> None:
    task, population = crossed
    assert refs(task, "run0") == _wanted(population)
    reachable = set(git(task, "rev-list", *refs(task, "run0")).split())
    assert population.bases.keys() | population.scores.keys() <= reachable


def _is_ancestor(task: Path, one: str, other: str) -> bool:
    command = ["git", "-C", str(task), "merge-base", "--is-ancestor", one, other]
    return subprocess.run(command, check=False).returncode == 0


def test_a_genome_is_tried_again_only_to_measure_it_again(tmp_path: Path) -> None:
    population = Shelved(tmp_path, trials=40, train=KNOBS, proposers=TINKER).searched(rugged)
    trials = population.trials.values()
    hashes = [trial.candidate.genome_hash for trial in trials if not trial.again]
    assert len(hashes) == len(set(hashes)) < population.finished == 40
    measured = [(trial.candidate.commit, trial.seed) for trial in trials]
    assert len(measured) == len(set(measured))  # never with the same seed


@pytest.mark.parametrize(
    "failure", [Crashed("ValueError: no"), TimedOut("training", 5.0), Refused("looks ahead")]
)
def test_failures_never_advance_and_never_end_the_run(tmp_path: Path, failure: Outcome) -> None:
    done = 0

    def fails_mostly(text: str) -> Outcome:
        nonlocal done
        done += 1
        return failure if done > 1 and done % 3 else valley(text)

    population = Shelved(tmp_path, trials=18).searched(training(fails_mostly))
    assert population.finished == 18
    assert not [t for t in population.trials.values() if t.score is None and t.verdict == "advance"]
    assert sum(t.score is None for t in population.trials.values()) == 11


def test_a_score_that_is_not_a_number_stops_the_run_rather_than_enter_the_journal(
    tmp_path: Path, task: Path
) -> None:
    folder = make_run(tmp_path, task)
    with pytest.raises(AssertionError, match="finite"):
        searched(folder, lambda text: Completed(math.nan))
    assert not [event for event in events_of(folder) if isinstance(event, Finished)]


class Slow(Inline):
    """Machines where minds take so long that a trial ends before they answer."""

    def wait(self, timeout_s: float) -> Message | None:
        if not self._orders:
            return super().wait(timeout_s)
        waiting, self._requests = self._requests, deque()
        message = super().wait(timeout_s)
        self._requests = waiting
        return message


@pytest.fixture
def eventful(tmp_path: Path) -> Shelved:
    """A short run in which lineages adopted, combined and clashed, and in which ideas came late."""
    for seed in range(50):
        run = Shelved(tmp_path / str(seed), trials=9, seed=seed, train=KNOBS, proposers=TINKER)
        with run.begun(machines=Slow(rugged), patience_s=0.0) as search:
            search.run()
        kinds = {type(event) for event in events_of(run.folder)}
        if kinds >= {Adopted, Combined, Clashed} and _rebased(search.population):
            return run
    raise AssertionError("no run of fifty was eventful")


def _rebased(population: Population) -> list[Candidate]:
    """Ideas that were put on a tip which had moved while they were thought of."""
    return [c for c in population.candidates.values() if c.operator == "mutate" and c.combines]


def test_a_run_cut_between_any_two_events_resumes_to_its_end(eventful: Shelved) -> None:
    journal = eventful.folder.journal
    whole = journal.read_bytes()
    for cut in [0, *(n + 1 for n, byte in enumerate(whole) if byte == ord("\n"))][:-1]:
        journal.write_bytes(whole[:cut])
        population = eventful.searched(rugged)
        assert journal.read_bytes().startswith(whole[:cut])
        _check_whole(population, events_of(eventful.folder), trials=9)


def test_what_was_to_be_combined_when_a_run_was_cut_off_is_combined_when_it_resumes(
    eventful: Shelved,
) -> None:
    journal, events = eventful.folder.journal, events_of(eventful.folder)
    lines = journal.read_bytes().splitlines(keepends=True)
    for n in [n for n, event in enumerate(events, start=1) if isinstance(event, Combined)]:
        journal.write_bytes(b"".join(lines[:n]))
        with eventful.begun(rugged) as search:
            assert search.population.combining == events[n - 1]
            search.run()
        after = [event for event in events_of(eventful.folder)[n:] if isinstance(event, Proposed | Clashed)]
        assert _timeless(after[0]) == _timeless(events[n])


@pytest.mark.parametrize("policy", ["promise", "greedy", "round-robin"])
def test_an_idea_that_took_long_is_compared_with_what_it_was_made_from(
    tmp_path: Path, policy: PolicyName
) -> None:
    run = Shelved(tmp_path, policy, trials=20, train=KNOBS, proposers=TINKER)
    with run.begun(machines=Slow(rugged), patience_s=0.0) as search:
        search.run()
    ideas = [c for c in search.population.candidates.values() if c.operator == "mutate" and not c.combines]
    assert [c.number for c in ideas if c.parents != (c.base,)] == []


def test_what_was_rebased_has_the_change_and_what_was_proven_meanwhile(eventful: Shelved) -> None:
    population, shelf = replay(read(eventful.folder.journal)), eventful.shelf
    for new in _rebased(population):
        old = population.candidates[new.combines[0]]
        changed = knobs(shelf.text(old.commit)).items() - knobs(shelf.text(old.base)).items()
        assert dict(knobs(shelf.text(new.base))) | dict(changed) == knobs(shelf.text(new.commit))
        assert old.number not in population.tried


def test_a_run_cut_within_a_line_or_before_git_was_told_is_mended(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=4)
    searched(folder)
    whole = folder.journal.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [ends[0], *(end - 30 for end in ends[4::4]), ends[-3]]:
        folder.journal.write_bytes(whole[:cut])
        search = searched(folder)
        kept = whole[: whole[:cut].rfind(b"\n") + 1]
        assert folder.journal.read_bytes().startswith(kept)
        _check_whole(search.population, events_of(folder), trials=4)
        shown, wanted = refs(task, "run0"), _wanted(search.population)
        assert {ref: shown.get(ref) for ref in wanted} == wanted


def _check_whole(population: Population, events: list[Event], trials: int) -> None:
    assert population.ended is not None
    finished = [event.trial for event in events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished)) == trials
    lost = [event.trial for event in events if isinstance(event, Lost)]
    assert sorted(finished + lost) == sorted(population.trials)
    assert len(lost) <= 1
    assert not population.unjudged and population.combining is None


def _report(outcome: Outcome) -> Report:
    return Report(outcome, Usage(started_at=0.0))


def _wanted(population: Population) -> dict[str, str]:
    """The refs of a run: what a person finds of it in git."""
    ours, candidates = f"refs/lineages/{population.run.run}", population.candidates
    shown = {f"refs/heads/lineages/{population.run.run}/{line.name}": line.tip for line in population.living}
    for line in population.lineages.values():
        shown |= {f"{ours}/ready/{number:04d}": candidates[number].commit for number in line.ready}
        if line.pruned is not None:
            shown[f"{ours}/pruned/{line.name}"] = line.tip
    shown |= {f"{ours}/trials/{t.number:04d}": t.candidate.commit for t in population.trials.values()}
    waiting = {number for line in population.lineages.values() for number in line.ready}
    gone = candidates.keys() - waiting - population.tried.keys()
    return shown | {f"{ours}/dropped/{number:04d}": candidates[number].commit for number in gone}


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


def test_a_second_ctrl_c_ends_at_once_and_leaves_a_journal_that_goes_on(tmp_path: Path) -> None:
    for after in range(1, 13):
        run = Shelved(tmp_path / str(after), trials=8, seed=after)
        with run.begun() as search:
            _interrupt(search, after, times=2)
            search.run()
        assert search.population.ended == "stopped by hand"
        assert run.searched().finished == 8


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

    def __init__(self, trials: int = 0, lineage: str | None = None) -> None:
        super().__init__(training(valley))
        self.trials, self.lineage = trials, lineage

    def wait(self, timeout_s: float) -> Message | None:
        message = super().wait(timeout_s)
        if isinstance(message, Trained) and self.trials:
            self.trials -= 1
            return Cut(message.trial, "killed")
        if isinstance(message, Answered) and message.lineage == self.lineage:
            return Gone(message.lineage, "killed")
        return message


def test_a_trial_whose_trainer_dies_is_lost_once_and_run_again(tmp_path: Path, task: Path) -> None:
    with begun(make_run(tmp_path, task, trials=3), machines=lambda: Mortal(trials=1)) as search:
        search.run()
    first, again, *_ = search.population.trials.values()
    assert first.lost == "killed" and again.candidate == first.candidate and again.score is not None
    assert search.population.finished == 3


def test_a_candidate_under_which_trainers_die_is_not_run_a_third_time(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=3)
    with begun(folder, machines=lambda: Mortal(trials=2)) as search:
        search.run()
    assert isinstance(search.population.trials[2].outcome, Crashed)
    assert "baseline has no score" in (search.population.ended or "")
    assert searched(folder).population.baseline_score is not None  # a failed baseline gets another chance


def test_a_machine_that_loses_whatever_it_is_given_blames_one_candidate_at_most(
    tmp_path: Path, task: Path
) -> None:
    folder = make_run(tmp_path, task, trials=12)
    with begun(folder) as search:
        _interrupt(search, after=3, times=1)
        search.run()
    with begun(folder, machines=lambda: Mortal(trials=6)) as search:
        search.run()
    trials = search.population.trials.values()
    assert len({trial.candidate.number for trial in trials if isinstance(trial.outcome, Crashed)}) == 1
    assert len({trial.candidate.number for trial in trials if trial.lost == "killed"}) > 1


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
    with begun(folder, machines=lambda: Mortal(trials=99)) as search:
        with pytest.raises(MachineFailed, match="in a row were lost: killed"):
            search.run()
        assert search.population.finished < 8


def test_a_lineage_whose_mind_always_dies_steps_aside(tmp_path: Path, task: Path) -> None:
    folder = make_run(tmp_path, task, trials=12)
    with begun(folder, machines=lambda: Mortal(lineage="birch")) as search:
        search.run()
    assert search.population.finished == 12
    assert not search.population.lineages["birch"].trials


def test_what_two_minds_think_of_at_once_is_tried_once(tmp_path: Path) -> None:
    small = make_task(tmp_path / "small", "A = True\nB = True\nC = True\nprint(A, B, C)\n")

    def counted(text: str) -> Outcome:
        return Completed(1.0 + sum(map(bool, knobs(text).values())))

    population = searched(make_run(tmp_path, small, trials=30, lineages=4), counted).population
    first = [trial.candidate.genome_hash for trial in population.trials.values() if not trial.again]
    assert len(first) == len(set(first)) >= 3


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
        search.backend.think = lambda request: (requests.append(request), think(request))[1]  # type: ignore[method-assign,func-returns-value]
        search.run()
    last = requests[-1]
    assert [tried.trial for tried in last.history] == list(range(1, len(last.history) + 1))
    assert len({tried.lineage for tried in last.history}) > 1
    assert last.hashes >= {c.genome_hash for c in list(search.population.candidates.values())[:-3]}


def test_a_first_trial_races_its_parent_and_a_repeat_does_not(tmp_path: Path) -> None:
    raced: dict[int, bool] = {}

    def train(order: Order, watch: Callable[[Progress], None]) -> Report:
        raced[order.trial] = bool(order.limits)
        report = rugged(order, watch)
        return Report(report.outcome, replace(report.usage, curve=(3.0,) * PARTS))

    population = Shelved(tmp_path, train=KNOBS, proposers=("tinker",)).searched(train)
    ideas = {t.number for t in population.trials.values() if not t.again and t.operator != "baseline"}
    assert ideas and ideas < raced.keys()
    assert {number for number, limited in raced.items() if limited} == ideas


def test_as_many_trials_are_under_way_as_there_are_gpus(tmp_path: Path) -> None:
    run = Shelved(tmp_path, train=KNOBS, proposers=("tinker",), trials=20)
    run.settings = replace(run.settings, gpus=3)
    with run.begun(machines=Inline(rugged, gpus=3)) as search:
        search.run()
    assert max(_under_way(read(run.folder.journal))) == 3
    assert search.population.finished == 20 and not search.population.running


def _under_way(entries: Iterable[Entry]) -> Iterator[int]:
    """How many trials are under way after each entry."""
    population = Population()
    for entry in entries:
        apply(population, entry)
        yield len(population.running)


class Overlapping(Inline):
    """Machines on which the next trial starts up beside another; they note whether it was told."""

    overlaps = True

    def __init__(self, gpus: int) -> None:
        super().__init__(rugged, gpus)
        self.started: dict[int, Sequence[Successor]] = {}  # by the trial that they may follow
        self.free: list[Sequence[Successor]] = []  # the same, where that has ended
        self.told: list[bool] = []

    def ahead(self, after: int, successors: Sequence[Successor]) -> list[bool]:
        self.started[after] = successors
        return [True for _ in successors]

    def train(self, order: Order) -> None:
        super().train(order)
        here = [any(alike(order, one.order) for one in several) for several in self.free]
        self.told.append(any(here))
        if here:
            self.free.pop(here.index(any(here)))

    def wait(self, timeout_s: float) -> Message | None:
        message = super().wait(timeout_s)
        if isinstance(message, Trained):
            self.free.append(self.started.pop(message.trial, ()))
        return message


@pytest.mark.parametrize(("lineages", "gpus"), [(1, 1), (4, 1), (4, 2), (6, 3)])
def test_most_trials_are_known_while_the_one_before_them_trains(
    tmp_path: Path, lineages: int, gpus: int
) -> None:
    run = Shelved(tmp_path, train=KNOBS, proposers=("tinker",), lineages=lineages, trials=40)
    run.settings = replace(run.settings, gpus=gpus)
    machines = Overlapping(gpus)
    with run.begun(machines=machines) as search:
        search.run()
    assert sum(machines.told) > 0.8 * len(machines.told)
    assert search.population.finished == 40
