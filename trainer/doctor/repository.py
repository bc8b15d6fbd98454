"""Is git there, and fit to hold a run's branches and to merge its best? Only reads."""

import os
import re
import time
from pathlib import Path

from msgspec import Struct

from trainer.doctor.child import Said, ask
from trainer.doctor.finding import Finding
from trainer.task import genome_path

GIT_S = 10.0
MERGES = (2, 38)  # the first git whose merge-tree writes a tree, which promote asks for
STALE_S = 60.0  # git holds a lock for a moment, or while a person writes a message


class Lock(Struct, frozen=True):
    """A lock file of git's."""

    path: str
    age_s: float


class Repository(Struct, frozen=True):
    """What git says of the folder a run starts from."""

    version: tuple[int, ...] | None  # None: no git
    problem: str = ""  # why git will not look at the folder; "" if it is in a repository or in none
    folder: str = ""  # of the working tree; "" for none
    committed: bool = False  # the genome is in HEAD
    blocked: bool = False  # a branch called `lineages` stands where a run's branches go
    identity: str = ""  # who commits; "" if nobody said
    locks: tuple[Lock, ...] = ()


def git(root: Path) -> tuple[Finding, ...]:
    """Git, for a run of the task in `root`."""
    return judged(look(root))


def judged(found: Repository) -> tuple[Finding, ...]:
    """What follows; a second line for locks that were left behind."""
    if found.version is None:
        return (Finding("git", "missing", "not there; every lineage is a git branch", "install git"),)
    version = "git " + ".".join(map(str, found.version))
    if found.problem:
        remedy = "git status there says what to do"
        return (Finding("git", "missing", f"{version} will not work here: {found.problem}", remedy),)
    lines = (_ready(version, found),)
    return lines + tuple(
        Finding(
            "git", "warning", f"{lock.path} is {lock.age_s / 60:,.0f} minutes old: branches cannot be moved",
            "delete it if no git is running",
        )
        for lock in found.locks
        if lock.age_s > STALE_S
    )  # fmt: skip


def _ready(version: str, found: Repository) -> Finding:
    if not found.folder:
        return Finding(
            "git", "warning", f"{version}, but no repository: runs make their own, promote cannot work",
            "work in a clone of the repository",
        )  # fmt: skip
    if not found.committed:
        return Finding(
            "git", "missing", f"{version}, but train.py is not committed in {found.folder}",
            "git add and git commit it: a run starts from the commit",
        )  # fmt: skip
    if found.blocked:
        return Finding(
            "git", "missing", f"{version}, but a branch 'lineages' stands where a run's branches go",
            "git branch -m lineages NEWNAME",
        )  # fmt: skip
    if found.version and found.version < MERGES:
        return Finding("git", "warning", f"{version}: promote needs 2.38 or newer", "update git")
    if not found.identity:
        return Finding(
            "git", "warning", f"{version}, but it does not know who you are: promote cannot commit",
            "git config --global user.name NAME, and user.email ADDRESS",
        )  # fmt: skip
    return Finding("git", "ok", f"{version}, repository {found.folder}, you are {found.identity}")


def look(root: Path) -> Repository:
    """Ask git, in a few short processes."""
    said = _git(root, "version")
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said.out)
    if said.problem or match is None:
        return Repository(None)
    version = tuple(int(part) for part in match.groups() if part)
    genome = genome_path(root)
    top = _git(genome.parent, "rev-parse", "--show-toplevel")
    if top.problem:
        outside = "not a git repository (or any" in top.problem
        return Repository(version, problem="" if outside else top.problem)
    return Repository(
        version,
        folder=top.out.strip(),
        committed=not _git(genome.parent, "cat-file", "-e", f"HEAD:./{genome.name}").problem,
        blocked=not _git(root, "show-ref", "--verify", "--quiet", "refs/heads/lineages").problem,
        identity=_identity(root),
        locks=_locks(root),
    )


def _identity(root: Path) -> str:
    """The name that commits would bear; "" if git would refuse, or would have to make one up."""
    name, email = (_git(root, "config", key).out.strip() for key in ("user.name", "user.email"))
    name = os.environ.get("GIT_AUTHOR_NAME") or name
    return name if name and (email or os.environ.get("EMAIL") or os.environ.get("GIT_AUTHOR_EMAIL")) else ""


def _locks(root: Path) -> tuple[Lock, ...]:
    said = _git(root, "rev-parse", "--git-dir", "--git-common-dir")
    folders = [root / line for line in dict.fromkeys(said.out.splitlines())]
    files = [path for folder in folders for path in folder.glob("*.lock")]
    files += [path for folder in folders for path in (folder / "refs").rglob("*.lock")]
    found = []
    for path in files:
        if path.exists():  # else git was quicker
            found.append(Lock(str(path), time.time() - path.stat().st_mtime))
    return tuple(found)


def _git(folder: Path, *words: str) -> Said:
    kept = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    return ask(["git", *words], GIT_S, folder, kept | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"})
