"""Branches against real git: what a run shows, and all that it must not touch."""

import itertools
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from population.branches import Branches
from population.records import (
    Adopted,
    Assigned,
    Clashed,
    Combined,
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
from population.repository.marks import (
    Marks,
    Note,
    branch,
    dropped_ref,
    marks_after,
    marks_of,
    message,
    pruned_ref,
    ready_ref,
    trial_ref,
    valid_run_name,
)
from population.state import Population, apply, replay
from tests.population.folders import in_memory
from tests.population.histories import BASE, HEAD, candidate, histories, started
from trainer.errors import BadInput

ROOT = Path(__file__).parents[2]
GENOME = "DEPTH = 4\n"
NOBODY = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
USER = {
    **{f"GIT_{who}_NAME": "User" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "user@example.org" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": "2026-01-01T00:00:00+0000" for who in ("AUTHOR", "COMMITTER")},
}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No identity and no configuration of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        env=NOBODY | USER,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.rstrip("\n")


def make_repository(folder: Path, *options: str) -> Path:
    """A task in a repository of its own, beside an unrelated file."""
    (folder / "task").mkdir(parents=True)
    (folder / "task" / "train.py").write_text(GENOME)
    (folder / "other.txt").write_text("unrelated\n")
    git(folder, "init", "--quiet", "--initial-branch=main", *options)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Begin")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository")


def opened(repository: Path, run: str = "demo") -> Branches:
    return Branches.open(repository / "task", run, repository.parent / "home")


def snapshot(folder: Path) -> Mapping[str, object]:
    """All that belongs to the user: files, index, HEAD, branches, configuration."""
    kept = [p for p in sorted(folder.rglob("*")) if p.is_file() and ".git" not in p.parts]
    inside = [folder / ".git" / name for name in ("index", "HEAD", "config", "ORIG_HEAD", "refs/heads/main")]
    return {str(p): p.read_bytes() for p in [*kept, *inside] if p.exists()} | {
        "status": git(folder, "status", "--porcelain")
    }


def refs(repository: Path, *patterns: str) -> dict[str, str]:
    listed = git(repository, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
    return dict(line.split(" ") for line in listed.splitlines())


def work(branches: Branches) -> str:
    """One of everything; the commit it made."""
    commit = branches.commit("DEPTH = 5\n", [branches.head()], "Deeper", 1e9)
    wanted = {branch(branches.run, "l1"): commit, trial_ref(branches.run, 1): commit}
    branches.apply(Marks(wanted, (Note(commit, f"{branches.run}/0001", f"{branches.run}/0001 0.9"),), 1e9))
    assert branches.text(commit) == "DEPTH = 5\n"
    return commit


def test_a_commit_is_its_first_parents_tree_with_another_genome(repository: Path) -> None:
    branches = opened(repository)
    commit = branches.commit("DEPTH = 5\n", [branches.head()], "Deeper\n\nbecause", 1e9 + 0.75)
    assert git(repository, "diff", "--name-only", "HEAD", commit) == "task/train.py"
    assert git(repository, "show", f"{commit}:task/train.py") == "DEPTH = 5"
    shown = git(repository, "show", "--no-patch", "--format=%P|%an|%ae|%cn|%at|%ct|%B", commit)
    person = "lineages|lineages@localhost|lineages"
    assert shown == f"{branches.head()}|{person}|1000000000|1000000000|Deeper\n\nbecause"


def test_a_merge_has_two_parents_and_merges_into_main(repository: Path) -> None:
    branches = opened(repository)
    sides = [branches.commit(f"DEPTH = {n}\n", [branches.head()], str(n), 1e9) for n in (5, 6)]
    merge = branches.commit("DEPTH = 11\n", sides, "Both", 1e9)
    assert git(repository, "show", "--no-patch", "--format=%P", merge).split() == sides
    git(repository, "merge", "--quiet", merge)
    assert (repository / "task" / "train.py").read_text() == "DEPTH = 11\n"


def test_the_same_arguments_give_the_same_commit_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (make_repository(tmp_path / name) for name in ("here", "there"))
    git(there, "config", "user.name", "Somebody")
    first = work(opened(here))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00")
    assert work(opened(there)) == first == work(opened(there))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(genome=st.text(st.characters(codec="utf-8")), idea=st.text())
def test_any_genome_comes_back_byte_for_byte_whatever_the_idea(
    repository: Path, genome: str, idea: str
) -> None:
    branches = opened(repository)
    commit = branches.commit(genome, [branches.head()], idea, 1e9)
    assert branches.text(commit) == genome
    assert branches.commit(genome, [branches.head()], idea, 1e9) == commit


def test_unsaved_and_staged_work_the_index_and_head_are_untouched(repository: Path) -> None:
    (repository / "task" / "train.py").write_text("DEPTH = 99  # unsaved\n")
    (repository / "other.txt").write_text("staged\n")
    git(repository, "add", "other.txt")
    (repository / "new.txt").write_text("untracked\n")
    before = snapshot(repository)
    commit = work(opened(repository))
    assert git(repository, "diff", "--name-only", "main", commit) == "task/train.py"
    assert snapshot(repository) == before


def test_only_refs_of_the_run_and_notes_appear(repository: Path) -> None:
    before = refs(repository)
    work(opened(repository))
    assert set(refs(repository)) - set(before) == {
        "refs/heads/lineages/demo/l1",
        "refs/lineages/demo/trials/0001",
        "refs/notes/lineages",
    }
    assert refs(repository).items() >= before.items()


def test_a_dirty_genome_is_told_from_a_clean_one(repository: Path) -> None:
    branches = opened(repository)
    (repository / "other.txt").write_text("not the genome\n")
    assert not branches.dirty_genome()
    branches.genome.write_text("DEPTH = 99\n")
    assert branches.dirty_genome()


def test_hooks_and_signing_do_not_run(repository: Path) -> None:
    for name in ("reference-transaction", "pre-commit", "post-commit", "commit-msg", "post-rewrite"):
        hook = repository / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\ntouch ../hook-ran ./hook-ran\nexit 1\n")
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    for setting in ("commit.gpgSign", "tag.gpgSign", "user.useConfigOnly", "core.logAllRefUpdates"):
        git(repository, "config", setting, "true")
    work(opened(repository))
    assert not list(repository.parent.rglob("hook-ran"))


def test_a_linked_worktree_uses_its_own_head_and_the_shared_refs(repository: Path) -> None:
    linked = repository.parent / "linked"
    git(repository, "worktree", "add", "--quiet", "--detach", str(linked))
    (linked / "task" / "train.py").write_text("DEPTH = 7\n")
    git(linked, "commit", "--quiet", "--all", "--message=Seven")
    branches = opened(linked)
    assert branches.head() == git(linked, "rev-parse", "HEAD") != git(repository, "rev-parse", "HEAD")
    assert work(branches) in refs(repository).values()
    assert git(linked, "status", "--porcelain") == git(repository, "status", "--porcelain") == ""


def test_packed_refs_and_a_detached_head_are_no_obstacle(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    branches = opened(repository)
    commit = work(branches)
    branches.apply(Marks({ready_ref("demo", 1): commit}, (), 1e9))
    git(repository, "pack-refs", "--all")
    git(repository, "gc", "--quiet", "--prune=now")
    branches.apply(Marks({ready_ref("demo", 1): None, branch("demo", "l1"): branches.head()}, (), 1e9))
    assert refs(repository, "refs/lineages") == {trial_ref("demo", 1): commit}
    assert refs(repository, "refs/heads/lineages") == {branch("demo", "l1"): branches.head()}


def test_the_environment_of_a_hook_of_another_repository_does_not_mislead(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(repository.parent / "another")
    before = refs(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_COMMON_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index.lock"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git" / "objects"))
    commit = work(opened(repository))
    (repository.parent / "plain").mkdir()
    (repository.parent / "plain" / "train.py").write_text(GENOME)
    work(Branches.open(repository.parent / "plain", "demo", repository.parent / "home"))
    assert refs(repository, "refs/lineages") == {trial_ref("demo", 1): commit}
    assert refs(other) == before


def test_a_repository_with_sha256_names_works_as_well(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "long", "--object-format=sha256")
    assert len(work(opened(repository))) == 64
    assert "demo/0001 0.9" in git(repository, "log", "-1", "--notes=lineages", "lineages/demo/l1")


def test_paths_with_spaces_quotes_and_accents_are_found(tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "a b") / 'tâsk "x"'
    (folder.parent / "task").rename(folder)
    (folder / "train.py").chmod(0o755)
    git(folder.parent, "add", "--all")
    git(folder.parent, "commit", "--quiet", "--message=Rename")
    branches = Branches.open(folder, "demo", tmp_path / "home")
    commit = work(branches)
    assert git(folder.parent, "diff", "--raw", "main", commit).startswith(":100755 100755")


def test_notes_are_seen_by_git_log_and_applied_once(repository: Path) -> None:
    branches = opened(repository)
    commit = work(branches)
    tip = git(repository, "rev-parse", "refs/notes/lineages")
    work(branches)
    assert git(repository, "rev-parse", "refs/notes/lineages") == tip
    branches.apply(Marks({}, (Note(commit, "demo/0001", "demo/0001 0.8"), Note(commit, "b/1", "b/1 1")), 2e9))
    git(repository, "notes", "--ref=lineages", "append", "-m", "a person's own words", commit)
    branches.apply(Marks({}, (Note(commit, "b/1", "b/1 2"),), 3e9))
    note = git(repository, "log", "-1", "--notes=lineages", "--format=%N", commit)
    assert [line for line in note.splitlines() if line] == ["demo/0001 0.8", "a person's own words", "b/1 2"]


def test_hundreds_of_notes_stay_readable_and_replaceable(repository: Path) -> None:
    branches = opened(repository)
    person = "committer x <x@y> 1000000000 +0000"
    stream = "".join(f"commit refs/heads/many\n{person}\ndata {len(str(n))}\n{n}\n\n" for n in range(700))
    subprocess.run(
        ["git", "-C", str(repository), "fast-import", "--quiet"], input=stream, text=True, check=True
    )
    commits = git(repository, "rev-list", "many").splitlines()
    for text in ("first", "second"):
        for part in (commits[:200], commits[200:]):
            branches.apply(Marks({}, tuple(Note(c, "demo/1", f"demo/1 {text}") for c in part), 1e9))
    listed = git(repository, "ls-tree", "-r", "refs/notes/lineages").splitlines()
    assert len(listed) == len(commits) and len({line.split()[2] for line in listed}) == 1


def test_two_runs_side_by_side_lose_no_note(repository: Path) -> None:
    code = """
import sys; from pathlib import Path
from population.branches import Branches; from population.repository.marks import Marks, Note
run, branches = sys.argv[2], Branches.open(Path(sys.argv[1]) / "task", sys.argv[2], Path("home"))
for n in range(8):
    branches.apply(Marks({}, (Note(branches.head(), f"{run}/{n}", f"{run}/{n} x"),), 1e9))
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(repository), run], cwd=ROOT)
        for run in ("red", "blue")
    ]
    assert [process.wait() for process in runs] == [0, 0]
    note = git(repository, "notes", "--ref=lineages", "show", "HEAD")
    assert sorted(note.splitlines()) == sorted(f"{run}/{n} x" for run in ("red", "blue") for n in range(8))


def test_two_runs_keep_their_own_refs(repository: Path) -> None:
    red, blue = opened(repository, "red"), opened(repository, "blue")
    work(red)
    assert red.used() and not blue.used()
    work(blue)
    assert set(refs(repository, "refs/lineages")) == {trial_ref("red", 1), trial_ref("blue", 1)}


@pytest.fixture(scope="module")
def history_repository() -> Iterator[tuple[Path, list[str]]]:
    """A repository and commits to tell histories with."""
    with pytest.MonkeyPatch.context() as patch, in_memory() as home:
        for name, value in NOBODY.items():
            patch.setenv(name, value)
        repository = make_repository(home / "repository")
        branches = opened(repository)
        yield repository, [branches.commit(f"N = {n}\n", [branches.head()], str(n), 1e9) for n in range(25)]


def told_of(run: str, entries: list[Entry], commits: list[str]) -> list[Entry]:
    """The same history, of another run and with real commits."""
    text = msgspec.json.encode(entries).decode().replace('"run":"demo"', f'"run":"{run}"')
    for number, commit in enumerate(commits):
        text = text.replace(f"{number:040x}", commit)
    return msgspec.json.decode(text, type=list[Entry])


def shown(repository: Path, run: str) -> list[str]:
    """All that git shows of a run, without the run's name."""
    lines = [f"{ref} {commit}" for ref, commit in refs(repository).items()]
    for commit in sorted({line.split(" ")[1] for line in lines}):
        note = git(repository, "log", "-1", "--notes=lineages", "--format=%N", commit)
        lines += [f"{commit} {line}" for line in note.splitlines()]
    return sorted(line.replace(run, "RUN") for line in lines if f"{run}/" in line)


runs = itertools.count()


@settings(max_examples=10, deadline=None)
@given(entries=histories(max_events=15), data=st.data())
def test_after_a_crash_anywhere_a_repair_shows_what_would_have_been_shown(
    history_repository: tuple[Path, list[str]], entries: list[Entry], data: st.DataObject
) -> None:
    repository, commits = history_repository
    whole, crashed = (opened(repository, f"{kind}{next(runs)}") for kind in ("whole", "crashed"))
    for branches, stop in ((whole, len(entries)), (crashed, data.draw(st.integers(0, len(entries))))):
        history = told_of(branches.run, entries, commits)
        population = Population()
        for entry in history[:stop]:
            apply(population, entry)
            branches.follow(entry.event, population), branches.settle()
        for _ in range(2):
            branches.repair(history, replay(history))
    assert shown(repository, whole.run) == shown(repository, crashed.run)


@given(histories())
def test_marks_of_the_whole_are_the_marks_after_each_one_by_one(entries: list[Entry]) -> None:
    shown: dict[str, str | None] = {}
    population = Population()
    for entry in entries:
        apply(population, entry)
        shown |= marks_after(entry.event, population).refs
    assert shown == marks_of(entries, replay(entries)).refs


@given(histories())
def test_every_candidate_is_reachable_and_every_living_tip_is_a_branch(entries: list[Entry]) -> None:
    population = replay(entries)
    wanted = {ref: commit for ref, commit in marks_of(entries, population).refs.items() if commit}
    tips = {branch("demo", line.name): line.tip for line in population.living}
    ended = [line for line in population.lineages.values() if line.pruned is not None]
    pruned = {pruned_ref("demo", line.name): line.tip for line in ended}
    trials = {trial_ref("demo", t.number): t.candidate.commit for t in population.trials.values()}
    waiting = {n for line in population.lineages.values() for n in line.ready}
    gone = population.candidates.keys() - waiting - population.tried.keys()
    ready = {ready_ref("demo", n): population.candidates[n].commit for n in waiting}
    dropped = {dropped_ref("demo", n): population.candidates[n].commit for n in gone}
    assert wanted == tips | pruned | trials | ready | dropped
    assert {c.commit for c in population.candidates.values()} <= set(wanted.values())
    assert population.bases.keys() <= set(wanted.values())


def followed(repository: Path, *events: Event) -> list[str]:
    """Shows a run that goes on with these events after the baseline; commits of candidates, by number."""
    branches = opened(repository)
    commits = [branches.commit(f"N = {n}\n", [branches.head()], str(n), 1e9) for n in range(5)]
    tried = Assigned(1, 1, 1, ""), Finished(1, Completed(1.0), Usage(1e9)), Judged(1, "advance", "")
    founded = [Founded(name, "brief", "scripted", BASE, "") for name in ("l1", "l2")]
    first = Proposed(candidate(1, "l1", (HEAD,), "baseline"))
    told = [started(), *founded, first, *tried, *events]
    entries = [Entry(number, 1e9, event) for number, event in enumerate(told, start=1)]
    population = Population()
    for entry in told_of("demo", entries, commits):
        apply(population, entry)
        branches.follow(entry.event, population), branches.settle()
    return commits


SECOND = Proposed(candidate(2, "l1", (BASE,)))


def test_a_pruned_lineages_branch_moves_to_where_the_pruned_are(repository: Path) -> None:
    commits = followed(repository, Pruned("l1", "fell behind"))
    assert refs(repository, "refs/heads/lineages") == {branch("demo", "l2"): commits[1]}
    assert refs(repository, "refs/lineages/demo/pruned") == {pruned_ref("demo", "l1"): commits[1]}


def test_a_pruned_lineages_branch_does_not_come_back_with_a_late_win(repository: Path) -> None:
    tried = Assigned(2, 2, 1, ""), Finished(2, Completed(1.0), Usage(1e9)), Judged(2, "confirm", "")
    again = Assigned(3, 2, 2, ""), Finished(3, Completed(0.5), Usage(1e9)), Judged(3, "advance", "")
    commits = followed(repository, SECOND, *tried, Pruned("l1", "fell behind"), *again)
    assert refs(repository, "refs/heads/lineages") == {branch("demo", "l2"): commits[1]}
    assert refs(repository, "refs/lineages/demo/pruned") == {pruned_ref("demo", "l1"): commits[1]}


def test_a_clash_drops_the_candidate_that_waited_and_keeps_its_commit(repository: Path) -> None:
    asked = Combined("l1", BASE, (2,), "mutate", "its tip has moved")
    commits = followed(repository, SECOND, asked, Clashed("l1", (2,), "the same things"))
    assert refs(repository, "refs/lineages/demo/dropped") == {dropped_ref("demo", 2): commits[2]}
    assert not refs(repository, "refs/lineages/demo/ready")


def test_a_rebased_candidate_takes_the_place_of_the_old_one(repository: Path) -> None:
    asked = Combined("l1", BASE, (2,), "mutate", "its tip has moved")
    rebased = Proposed(candidate(3, "l1", (BASE,), combines=(2,)))
    commits = followed(repository, SECOND, asked, rebased)
    assert refs(repository, "refs/lineages/demo/dropped") == {dropped_ref("demo", 2): commits[2]}
    assert refs(repository, "refs/lineages/demo/ready") == {ready_ref("demo", 3): commits[3]}


def test_an_adopted_commit_is_where_the_branch_is(repository: Path) -> None:
    tried = Assigned(2, 2, 1, ""), Finished(2, Completed(0.5), Usage(1e9)), Judged(2, "advance", "")
    commits = followed(repository, SECOND, *tried, Adopted("l2", f"{2:040x}", "proven"))
    assert refs(repository, "refs/heads/lineages") == {branch("demo", n): commits[2] for n in ("l1", "l2")}


def plain_task(folder: Path) -> Path:
    """A task outside any repository."""
    (folder / "data").mkdir(parents=True)
    for name in ("train.py", "prepare.py", "program.md", "notes.txt", "data/huge"):
        (folder / name).write_text(f"# {name}\n")
    return folder


def test_a_task_outside_any_repository_gets_its_own_and_finds_it_again(tmp_path: Path) -> None:
    task, home = plain_task(tmp_path / "task"), tmp_path / "home"
    branches = Branches.open(task, "demo", home)
    commit = work(branches)
    (home / "repo" / "train.py").write_text("looked at, and changed\n")
    again = Branches.open(task, "demo", home)
    assert (home / "repo" / "train.py").read_text() == "looked at, and changed\n"
    git(home / "repo", "restore", "train.py")
    assert again.head() == branches.head() and again.text(commit) == "DEPTH = 5\n"
    assert git(home / "repo", "ls-files").split() == ["prepare.py", "program.md", "train.py"]
    assert git(home / "repo", "status", "--porcelain") == ""
    assert not (task / ".git").exists()


def test_a_crash_while_its_repository_was_made_is_made_good(tmp_path: Path) -> None:
    task, home = plain_task(tmp_path / "task"), tmp_path / "home"
    git(tmp_path, "init", "--quiet", str(home / "repo"))
    assert Branches.open(task, "demo", home).text("HEAD") == "# train.py\n"


def test_the_genome_may_lie_deeper_than_the_task(repository: Path) -> None:
    branches = Branches.open(repository, "demo", repository.parent, repository / "task" / "train.py")
    assert branches.path == "task/train.py" and branches.text(work(branches)) == "DEPTH = 5\n"


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        (["rm", "--quiet", "--cached", "task/train.py"], "git add task/train.py && git commit"),
        (["checkout", "--quiet", "--orphan", "empty"], "has no commit yet: .*git commit"),
        (["branch", "lineages"], "git branch -m lineages NEWNAME"),
        (["branch", "lineages/demo"], "git branch -m lineages/demo NEWNAME"),
    ],
)
def test_a_repository_unfit_for_a_run_is_refused_with_the_mend(
    repository: Path, spoil: list[str], mend: str
) -> None:
    git(repository, *spoil)
    if spoil[0] == "rm":
        git(repository, "commit", "--quiet", "--message=Forget")
    with pytest.raises(BadInput, match=mend) as refused:
        opened(repository)
    assert "\n" not in str(refused.value)


def test_a_missing_genome_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a task is a folder with train\.py"):
        Branches.open(tmp_path, "demo", tmp_path / "home")


def test_a_commit_that_is_not_there_or_not_text_is_one_line(repository: Path) -> None:
    branches = opened(repository)
    (repository / "task" / "train.py").write_bytes(b"\xff\xfe")
    git(repository, "commit", "--quiet", "--all", "--message=Latin")
    with pytest.raises(BadInput, match="not UTF-8"):
        branches.text("HEAD")
    with pytest.raises(BadInput, match=r"^git cat-file failed in [^\n]*: fatal: [^\n]*$"):
        branches.text("e" * 40)
    with pytest.raises(BadInput, match=r"^git fast-import failed in [^\n]*: fatal: [^\n]*$"):
        branches.commit("", ["e" * 40], "", 1e9)


def test_refs_are_set_all_or_none(repository: Path) -> None:
    branches = opened(repository)
    with pytest.raises(BadInput, match="update-ref"):
        branches.apply(
            Marks({trial_ref("demo", 1): branches.head(), trial_ref("demo", 2): "e" * 40}, (), 1e9)
        )
    assert not branches.used()


@given(st.from_regex(r"[A-Za-z0-9./_~^: @{-]{0,12}", fullmatch=True))
def test_a_valid_run_name_is_one_part_of_a_ref(name: str) -> None:
    if valid_run_name(name):
        assert git(ROOT, "check-ref-format", f"refs/lineages/{name}/trials") == "" and "/" not in name


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", "a..b", "a.lock", "a.", "-a", ".a", "a b", "a~1", "ü", "a" * 65]
)
def test_a_name_that_cannot_stand_in_a_ref_is_refused(repository: Path, name: str) -> None:
    assert not valid_run_name(name)
    with pytest.raises(BadInput, match="letters, digits"):
        opened(repository, name)


def test_a_long_idea_is_cut_in_the_subject_and_whole_in_the_body() -> None:
    idea = "raise MATRIX_LR 0.04 -> 0.06 and lower DEPTH 4 -> 3 and set WINDOW_PATTERN L -> SSSL"
    subject, empty, body, *_ = message(idea, "amber", "mutate/tpe").splitlines()
    assert len(subject) <= 72 and idea.startswith(subject.removesuffix(" ..."))
    assert (empty, body) == ("", idea)


def test_a_short_idea_is_said_once_and_hostile_line_breaks_make_no_trailer() -> None:
    text = message("widen\nLineage: birch", "amber", "mutate/tpe")
    assert text.splitlines() == ["widen Lineage: birch", "", "Lineage: amber", "Proposer: mutate/tpe"]
