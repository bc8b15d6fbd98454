"""Merges a run's best into what the user has checked out, as an ordinary merge commit of their own.

The one place where the program touches a person's branch, index and files, because they asked for it. Nothing
is begun that would end in a conflict or lose unsaved work.
"""

import contextlib
from pathlib import Path

from population.repository.plumbing import Plumbing
from trainer.errors import BadInput


class Checkout:
    """The user's working tree."""

    def __init__(self, git: Plumbing) -> None:
        self._git = git

    @classmethod
    def of(cls, task: Path) -> "Checkout":
        """That of the repository which holds `task`. Raises BadInput if there is none."""
        git = Plumbing.find(task)
        if git is None:
            raise BadInput(f"{task} is in no git repository, so there is no branch to merge into")
        return cls(git)

    def branch(self) -> str:
        """What is checked out, by name: a branch, or a commit."""
        named = self._git.run("rev-parse", "--abbrev-ref", "HEAD").decode().strip()
        return self._git.run("rev-parse", "--short", "HEAD").decode().strip() if named == "HEAD" else named

    def has(self, commit: str) -> bool:
        """Whether a commit is merged already."""
        return not self._git.run("rev-list", "--max-count=1", f"HEAD..{commit}").strip()

    def check(self, commit: str) -> None:
        """Raise BadInput, in one line, if merging `commit` would conflict or lose unsaved work."""
        touched = set(self._paths("diff", "--name-only", "-z", f"HEAD...{commit}"))
        dirty = set(self._paths("diff", "--name-only", "-z", "HEAD"))
        if both := sorted(touched & dirty):
            raise BadInput(f"{both[0]} has unsaved changes, and the merge would touch it: commit or stash it")
        try:
            self._git.run("merge-tree", "--write-tree", "HEAD", commit)
        except BadInput as error:
            raise BadInput(
                f"the best and {self.branch()} changed the same lines of {', '.join(sorted(touched))}; merge "
                f"by hand: git merge {commit[:12]}"
            ) from error

    def merge(self, commit: str, message: str) -> str:
        """Merge `commit`, always with a commit of its own; returns its name. Call `check` first."""
        try:
            self._git.as_user("merge", "--no-ff", "--no-edit", "--quiet", "-m", message, commit)
        except BadInput:
            with contextlib.suppress(BadInput):  # it had not begun
                self._git.as_user("merge", "--abort")
            raise
        return self._git.run("rev-parse", "HEAD").decode().strip()

    def _paths(self, *words: str) -> list[str]:
        return [path for path in self._git.run(*words).decode(errors="replace").split("\0") if path]
