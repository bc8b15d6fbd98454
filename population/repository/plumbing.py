"""Runs git on one repository, the only file to do so: objects and refs, never a person's files or a hook.

Every call is one short process that is told all it must not take from its surroundings: which repository
(a hook that calls us has set GIT_DIR and friends to its own), who commits, and that objects are to be on disk
when it ends.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from git import Git, GitCommandError, InvalidGitRepositoryError, Repo

from population.repository.stale import stale_lock
from trainer.errors import BadInput

NAME, EMAIL = "lineages", "lineages@localhost"
# reference-transaction runs even for plumbing; two runs may want the notes' lock at one moment.
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsync=all",
    "core.filesRefLockTimeout=5000",
    "core.packedRefsTimeout=5000",
)
_ROOM = 2**16  # bytes: less than that is no room for a commit
_SCRATCH = "refs/lineages/scratch"  # never written


class Plumbing:
    """git on the repository whose working tree is `folder`."""

    def __init__(self, folder: Path, git_dir: Path) -> None:
        self.folder = folder
        self._git = Git(str(folder))
        self._begin = [
            Git.GIT_PYTHON_GIT_EXECUTABLE or "git",
            *(word for setting in _CONFIG for word in ("-c", setting)),
        ]
        self._common = common = _common(git_dir)
        self._environment = {
            "GIT_DIR": str(git_dir),
            "GIT_COMMON_DIR": str(common),
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": str(git_dir / "index"),
            "GIT_OBJECT_DIRECTORY": str(common / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
            "GIT_AUTHOR_NAME": NAME,
            "GIT_AUTHOR_EMAIL": EMAIL,
            "GIT_COMMITTER_NAME": NAME,
            "GIT_COMMITTER_EMAIL": EMAIL,
        }

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """The repository whose working tree holds `folder`; None if there is none."""
        try:
            repo = Repo(folder, search_parent_directories=True, expand_vars=False)
        except InvalidGitRepositoryError:
            return None
        with repo:
            if repo.working_tree_dir is None:
                raise BadInput(
                    f"{folder} is in the bare repository {repo.git_dir}: clone it and work in the clone"
                )
            return cls(Path(repo.working_tree_dir).resolve(), Path(repo.git_dir).resolve())

    @classmethod
    def make(cls, folder: Path, files: Sequence[tuple[str, Path]], at: float) -> Self:
        """A new repository in `folder` with one commit of `files` (path within it, file to copy), dated `at`.

        Called again, it finishes what a crash left undone and changes nothing else.
        """
        plumbing = cls(folder, folder / ".git")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            contents = [(path, "100644", file.read_bytes()) for path, file in files]
        except OSError as error:
            raise BadInput(f"cannot make a repository for the task: {error}") from error
        plumbing.run("init", "--quiet", "--template=", "--initial-branch=main")
        if not plumbing.exists("HEAD^{commit}"):
            first = plumbing.commit(contents, [], "The task as the run found it", at)
            plumbing.run("update-ref", "HEAD", first)
            plumbing.run("reset", "--quiet", "--hard")  # ours alone until now: there is no work to lose
        return plumbing

    def run(self, *words: str, stdin: bytes = b"") -> bytes:
        """What `git WORDS` prints. Raises BadInput with git's own words if it fails.

        A lock of our refs that a killed git left is removed, and git called again.
        """
        try:
            return self._called(words, stdin)
        except GitCommandError as error:
            lock = stale_lock(str(error.stderr), self._common)
            if lock is None:
                raise BadInput(self._problem(words[0], error)) from error
        lock.unlink(missing_ok=True)
        try:
            return self._called(words, stdin)
        except GitCommandError as error:
            raise BadInput(self._problem(words[0], error)) from error

    def _called(self, words: Sequence[str], stdin: bytes) -> bytes:
        with tempfile.TemporaryFile() as file:
            file.write(stdin)
            file.seek(0)
            printed = self._git.execute(
                [*self._begin, *words],
                istream=file,
                env=self._environment,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                start_new_session=True,  # Ctrl-C is for the scheduler; git finishes what it began
            )
        assert isinstance(printed, bytes)
        return printed

    def _problem(self, word: str, error: GitCommandError) -> str:
        said = str(error.stderr).strip().removeprefix("stderr: ").strip("'\n ").splitlines()
        why = next((line for line in said if line.startswith("fatal:")), " ".join(said))
        return f"git {word} failed in {self.folder}: {why}{_unwritable(self._common)}"

    def as_user(self, *words: str) -> None:
        """Run `git WORDS` as the user would: their name, their settings, their hooks. Raises BadInput."""
        try:
            self._git.execute([self._begin[0], *words])
        except GitCommandError as error:
            said = " ".join(str(error.stderr).removeprefix("\n  stderr: ").strip("'\n ").split())
            raise BadInput(f"git {words[0]} failed in {self.folder}: {said}") from error

    def exists(self, name: str) -> bool:
        return self.objects([name])[0] is not None

    def objects(self, names: Iterable[str]) -> list[bytes | None]:
        """The contents of the objects so named (`HEAD^{tree}`, `commit:path`); None for what is not there."""
        printed = self.run("cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
        contents: list[bytes | None] = []
        at = 0
        while at < len(printed):
            end = printed.index(b"\n", at)
            header, at = printed[at:end], end + 1
            if header.endswith((b" missing", b" ambiguous")):
                contents.append(None)
            else:
                size = int(header.rsplit(b" ", 1)[1])
                contents.append(printed[at : at + size])
                at += size + 1
        return contents

    def commit(
        self, files: Sequence[tuple[str, str, bytes]], parents: Sequence[str], message: str, at: float
    ) -> str:
        """Commit `files` (path, mode, content) into the tree of the first parent; no ref is made or moved.

        Deterministic: dated `at` (unix seconds, whole ones), by us. Returns the commit's name.
        """
        stream = [_headline(_SCRATCH, message, at)]
        stream += [b"%s %s\n" % (b"merge" if i else b"from", p.encode()) for i, p in enumerate(parents)]
        stream += [b"M %s inline %s\n%s" % (m.encode(), _quoted(p), _data(c)) for p, m, c in files]
        # fast-import commits onto a ref; forgetting it before the stream ends keeps it from being written.
        stream += [b"get-mark :1\n", b"reset %s\n\n" % _SCRATCH.encode()]
        return self.run("fast-import", "--quiet", stdin=b"".join(stream)).decode().strip()

    def annotate(self, ref: str, tip: str | None, notes: dict[str, str], message: str, at: float) -> None:
        """Set the notes on some commits in one commit on top of `tip`, which the notes' ref must be at.

        Raises BadInput if it is not (any more): git moves the ref forward only.
        """
        stream = [_headline(ref, message, at)]
        stream += [] if tip is None else [b"from %s\n" % tip.encode()]
        stream += [
            b"N inline %s\n%s" % (commit.encode(), _data(note.encode())) for commit, note in notes.items()
        ]
        self.run("fast-import", "--quiet", stdin=b"".join(stream))


def main_worktree(folder: Path) -> Path:
    """The main working tree of the repository that `folder` is a linked one of; else `folder` itself."""
    pointer = folder / ".git"
    if not pointer.is_file():
        return folder
    common = _common((folder / pointer.read_text().partition(":")[2].strip()).resolve())
    return common.parent if common.name == ".git" else folder


def _unwritable(folder: Path) -> str:
    """Why nothing can be written in git's folder, with what to do; "" if it can.

    git says of a full disk now that it could not write, now nothing at all.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="tmp_lineages") as probe:
            os.posix_fallocate(probe.fileno(), 0, _ROOM)
    except OSError as error:
        return f" ({error.strerror} in {folder}: make room or mend its permissions, then resume the run)"
    return ""


def _headline(ref: str, message: str, at: float) -> bytes:
    words = message.replace("\0", "").strip() + "\n"
    person = f"{NAME} <{EMAIL}> {int(at)} +0000"
    return f"commit {ref}\nmark :1\ncommitter {person}\n".encode() + _data(words.encode(errors="replace"))


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    escaped = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%s"' % escaped


def _common(git_dir: Path) -> Path:
    """Where objects and refs are: the main repository's folder, for a linked worktree."""
    pointer = git_dir / "commondir"
    return (git_dir / pointer.read_text().strip()).resolve() if pointer.is_file() else git_dir
