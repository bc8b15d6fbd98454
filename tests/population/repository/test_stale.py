"""Locks that a killed git left, locks of a living one, and disks that are full: real git, real processes."""

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from population.branches import Branches
from population.journal import Journal, read
from population.repository.marks import Marks, Note, branch
from population.repository.plumbing import Plumbing
from tests.population.folders import in_memory
from tests.population.histories import started
from trainer.errors import BadInput

REFS = ("refs/heads/lineages/demo/amber.lock", "refs/notes/lineages.lock", "packed-refs.lock")


@pytest.fixture
def repository() -> Iterator[Path]:
    with in_memory() as folder:
        yield made(folder / "task")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """git waits for a lock no longer than it must."""
    quick = ("core.filesRefLockTimeout=50", "core.packedRefsTimeout=50")
    monkeypatch.setattr("population.repository.plumbing._CONFIG", quick)


def made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "train.py").write_text("X = 1\n")
    Plumbing.make(folder, [], 1e9)
    for words in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def worked(repository: Path) -> None:
    """A branch, a note, and a ref that goes, for which git locks packed-refs."""
    branches = Branches.open(repository, "demo", repository.parent / "home")
    commit = branches.commit("X = 2\n", [branches.head()], "Two", 1e9)
    refs = {branch("demo", "amber"): commit, branch("demo", "birch"): None}
    branches.apply(Marks(refs, (Note(commit, "demo/0001", "demo/0001 0.9"),), 1e9))


def locked(repository: Path, name: str) -> Path:
    lock = repository / ".git" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_bytes(b"")
    return lock


@pytest.mark.parametrize("name", REFS)
def test_a_lock_that_a_killed_git_left_is_in_nobodys_way(repository: Path, name: str) -> None:
    lock = locked(repository, name)
    worked(repository)
    assert not lock.exists()
    assert Branches.open(repository, "demo", repository.parent / "home").used()


@pytest.mark.parametrize("name", REFS)
def test_a_lock_is_respected_while_anybodys_git_is_at_work(repository: Path, name: str) -> None:
    lock = locked(repository, name)
    command = ["git", "-C", str(repository), "cat-file", "--batch"]  # waits for its input
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as persons:
        with pytest.raises(BadInput, match=r"\.lock': File exists"):
            worked(repository)
        assert lock.exists()
        persons.communicate()
    worked(repository)


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_what_a_person_has_locked_is_theirs_and_not_needed(repository: Path, name: str) -> None:
    lock = locked(repository, name)
    worked(repository)
    assert lock.exists()


@pytest.fixture
def small(repository: Path) -> Iterator[Path]:
    """A folder that is a disk of its own, of 400 kB."""
    folder = repository.parent / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can make a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_git_on_a_full_disk_says_so_and_goes_on_when_there_is_room(small: Path) -> None:
    full = made(small / "task")
    with (small / "fill").open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(512))
    with pytest.raises(BadInput, match=r"No space left on device in .*make room"):
        worked(full)
    (small / "fill").unlink()
    worked(full)


def test_a_disk_that_is_read_only_is_named_loses_nothing_and_can_be_mended(small: Path) -> None:
    task, journal = made(small / "task"), small / "journal.jsonl"
    with Journal.open(journal) as writing:
        writing.append(started(), 1.0)
    for mode, fails in (("ro", True), ("rw", False)):
        subprocess.run(["mount", "-o", f"remount,{mode}", str(small)], check=True)
        expected = pytest.raises(BadInput, match="Read-only file system") if fails else nullcontext()
        with expected:
            worked(task)
        with expected:
            Journal.open(journal).close()
        assert len(read(journal)) == 1
