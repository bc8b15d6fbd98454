"""A lineage's own working tree, where a coding agent may do as it likes to files.

It is a linked git worktree with a detached HEAD, so that an agent finds the history where it is used to find
it and no branch moves with what it does. Nothing in the folder is believed: `reset` makes it a commit's tree
again whatever has become of it, git is told where its own records are and never reads that from the folder,
and no link is followed when a file is taken out of it.

Not covered: objects, refs and configuration are the repository's own, and who works in the folder can
change them.
"""

import errno
import os
import shutil
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from population.repository.plumbing import Plumbing
from trainer.errors import BadInput
from trainer.task import genome_path

_ELSEWHERE = (errno.ELOOP, errno.ENOTDIR)  # how a link, or something else than a folder, refuses to be opened
_NOT_PLAIN = "is not a plain file"


class NotTaken(Exception):
    """Why a file cannot be taken from a worktree: the end of a sentence that begins with its name."""


class Worktree:
    """The worktree in `folder`, which belongs to this object alone and may not exist yet."""

    def __init__(self, git: Plumbing, folder: Path, genome: str) -> None:
        self.folder = folder
        self.genome = genome  # path of the genome within the worktree
        self._git = git

    @classmethod
    def of(cls, task: Path, folder: Path) -> Self:
        """The worktree in `folder`, RUN/worktrees/NAME, of the repository that holds the task's genome.

        A task outside any repository has one in RUN/repo, made when the run began.
        """
        assert folder.parent.name == "worktrees", "what is in the folder is removed"
        folder = folder.parent.resolve() / folder.name  # never what a link in its place leads to
        genome = genome_path(task.resolve()).resolve()
        git = Plumbing.find(genome.parent)
        if git is not None:
            return cls(git, folder, genome.relative_to(git.folder).as_posix())
        own = folder.parent.parent / "repo"
        path = genome.relative_to(task.resolve()) if genome.is_relative_to(task.resolve()) else genome.name
        return cls(Plumbing(own, own / ".git"), folder, str(path))

    def reset(self, commit: str) -> None:
        """Make the folder the tree of `commit` and nothing else. Raises BadInput if that cannot be done.

        Nobody may be at work in it: what is left of locks was left by somebody who was killed.
        """
        records = self._records()
        if records is not None and self._leads_to(records):
            try:
                self._restore(records, commit)
                return
            except BadInput:
                pass  # it is damaged in a way that git does not mend: begin anew
        self._make(commit)

    def put(self, text: str) -> None:
        """Make `text` the genome in a worktree that was just reset."""
        (self.folder / self.genome).write_bytes(text.encode())

    def changed(self, commit: str) -> list[str]:
        """Paths of files that are not as in `commit`: other, new or gone; files that git ignores left out.

        Forgets what was staged or committed here since. Raises BadInput if git's records are gone.
        """
        records = self._records()
        if records is None:
            raise BadInput(f"git knows of no worktree in {self.folder}")
        git = self._detached(records, commit)
        git.run("read-tree", commit)
        printed = git.run("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
        return [os.fsdecode(line[3:]) for line in printed.split(b"\0") if line]

    def take(self, path: str, most: int) -> bytes:
        """The contents of a plain file of at most `most` bytes in the worktree. Raises NotTaken."""
        *folders, name = Path(path).parts
        with ExitStack() as opened:

            def within(place: int | None, part: str, flags: int) -> int:
                descriptor = os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
                opened.callback(os.close, descriptor)
                return descriptor

            try:
                place = within(None, str(self.folder), os.O_DIRECTORY)
                for part in folders:
                    place = within(place, part, os.O_DIRECTORY)
                file = within(place, name, os.O_RDONLY | os.O_NONBLOCK)  # a pipe is not waited for
            except FileNotFoundError:
                raise NotTaken("is gone") from None
            except OSError as error:
                why = _NOT_PLAIN if error.errno in _ELSEWHERE else f"cannot be read: {error.strerror}"
                raise NotTaken(why) from None
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise NotTaken(_NOT_PLAIN)
            with os.fdopen(os.dup(file), "rb") as reader:
                content = reader.read(most + 1)
        if len(content) > most:
            raise NotTaken(f"is longer than {most} bytes")
        return content

    def _records(self) -> Path | None:
        """Git's own folder for this worktree, found from the repository's side."""
        shared = Path(os.fsdecode(self._git.run("rev-parse", "--git-common-dir").rstrip(b"\n")))
        for pointer in sorted(shared.glob("worktrees/*/gitdir")):
            with suppress(FileNotFoundError):  # of another worktree, which is being removed
                if (pointer.parent / pointer.read_text().strip()).parent.resolve() == self.folder:
                    return pointer.parent
        return None

    def _leads_to(self, records: Path) -> bool:
        """Whether the folder's .git is still the file that git made."""
        try:
            said = os.fsdecode(self.take(".git", 2**16)).strip()
        except NotTaken:
            return False
        return (self.folder / said.removeprefix("gitdir: ")).resolve() == records

    def _detached(self, records: Path, commit: str) -> Plumbing:
        """Git on the worktree, with HEAD at `commit` and on no branch."""
        for lock in records.glob("*.lock"):
            lock.unlink()
        git = Plumbing(self.folder, records)
        git.run("update-ref", "--no-deref", "HEAD", commit)
        return git

    def _restore(self, records: Path, commit: str) -> None:
        git = self._detached(records, commit)
        git.run("reset", "--quiet", "--hard")
        git.run("clean", "--quiet", "-ffdx")  # repositories within it and ignored files too

    def _make(self, commit: str) -> None:
        try:
            _remove(self.folder)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make a worktree in {self.folder}: {error}") from error
        # Forced twice: git may know of one there that is gone, even of a locked one. Its files come with
        # _restore, since git would use the main worktree's index for them, which Plumbing names to it.
        words = ("--force", "--force", "--detach", "--no-checkout")
        self._git.run("worktree", "add", *words, str(self.folder), commit)
        records = self._records()
        assert records is not None, "git has just made it"
        self._restore(records, commit)


def _remove(folder: Path) -> None:
    """Remove whatever is at `folder`, also what denies it."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        folder.chmod(0o700)
        for place, names, _ in os.walk(folder):
            for path in (Path(place, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)
