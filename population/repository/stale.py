"""Which of git's lock files were left by a git that was killed, and are in nobody's way but ours.

git makes NAME.lock beside what it changes and removes it when it is done. Only locks of what a run changes
are looked at (its own branches and refs, the notes, packed-refs), and only once git has waited for them in
vain (see plumbing.py). One is stale if no git is at work in the repository, however little is known of it.

Not covered: a program other than git that holds such a lock for as long as that, and one on another machine.
"""

import contextlib
import re
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_IN_THE_WAY = re.compile(r"Unable to create '(?P<path>[^']+\.lock)': File exists")
_OURS = re.compile(r"refs/(heads/)?lineages/.+\.lock|refs/notes/lineages\.lock|packed-refs\.lock")


def stale_lock(said: str, common: Path) -> Path | None:
    """The lock that git complains of in what it `said`, if a killed git left it; `common` is git's folder."""
    found = _IN_THE_WAY.search(said)
    if found is None:
        return None
    lock = Path(found["path"]).absolute()
    if not lock.is_relative_to(common) or not _OURS.fullmatch(lock.relative_to(common).as_posix()):
        return None
    return None if any(_works_in(process, common) for process in psutil.process_iter()) else lock


def _works_in(process: psutil.Process, common: Path) -> bool:
    """Whether a process is git and may be at work in this repository."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if not re.fullmatch(r"git(-.+)?", process.name()) or process.status() == psutil.STATUS_ZOMBIE:
            return False
        try:
            places = (process.cwd(), process.environ().get("GIT_DIR", ""), *process.cmdline())
        except psutil.AccessDenied:  # another user's
            return True
        return any(_within(place, common) for place in places)
    return False


def _within(place: str, common: Path) -> bool:
    """Whether a path leads into the repository, or into its main working tree or a folder of that."""
    path, tree = Path(place), common.parent if common.name == ".git" else common
    return path.is_absolute() and (path.is_relative_to(tree) or path.is_relative_to(common))
