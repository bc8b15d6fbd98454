"""The genomes of a run in git: commits them, and makes refs and notes show what the journal says.

Index, working tree, HEAD and the user's branches are never touched; hooks and signing do not run; nothing is
taken from the user's identity. A commit is on disk before it is named to anyone, so a journal never speaks of
one that a power cut took.

Not covered: a lineage's branch moves under someone who has it checked out (their files stay as they were, and
`git status` shows the difference). Look at one with `git switch --detach`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from population.records import Ended, Entry, Event
from population.repository.marks import Marks, Note, marks_after, marks_of, valid_run_name
from population.repository.plumbing import Plumbing
from population.state import Population
from trainer.errors import BadInput

NOTES = "refs/notes/lineages"
TASK_FILES = ("train.py", "prepare.py", "program.md")
NOTES_EVERY_S = 5.0  # of journal time: a note costs as much as all else together
_AT_HAND = 256  # genomes kept in memory, some MB
_ATTEMPTS = 20  # at a note, while other runs write theirs at the same moment


class Branches:
    """One run's view of the repository that holds `genome`, the file its lineages evolve from."""

    def __init__(self, git: Plumbing, run: str, genome: Path, path: str, mode: str) -> None:
        self.run = run
        self.genome = genome  # absolute: the file a person edits
        self.path = path  # of the genome, within the repository
        self._git = git
        self._mode = mode  # of the genome, in git's trees
        self._texts: dict[str, str] = {}  # genomes by commit
        self._unmoved: dict[str, str | None] = {}
        self._unwritten: list[Note] = []
        self._ends = False
        self._at = self._noted_at = 0.0  # of the last event, and of the last notes that were written

    @classmethod
    def open(cls, task: Path, run: str, home: Path, genome: Path | None = None) -> Self:
        """Find the repository that holds `genome` (task/train.py if None), committed.

        A task outside any repository gets its own in home/repo, with its three files; a resumed run finds
        it there again. Raises BadInput, which says how to mend it.
        """
        if not valid_run_name(run):
            raise BadInput(
                f"run name {run!r}: up to 64 letters, digits, '.', '-' and '_', a letter or digit first"
            )
        genome = (genome or task / "train.py").resolve()
        if not genome.is_file():
            raise BadInput(f"no file {genome}: a task is a folder with {', '.join(TASK_FILES)}")
        git = Plumbing.find(genome.parent)
        if git is None:
            git, path = _own_repository(task.resolve(), genome, home.resolve() / "repo")
        else:
            path = genome.relative_to(git.folder).as_posix()
        return cls(git, run, genome, path, _checked_mode(git, run, genome, path))

    def head(self) -> str:
        """The commit that is checked out."""
        return self._git.run("rev-parse", "--verify", "HEAD^{commit}").decode().strip()

    def used(self) -> bool:
        """Whether the repository has refs of a run of this name already."""
        return bool(self._refs())

    def dirty_genome(self) -> bool:
        """Whether the genome's file differs from HEAD, which is where a run starts from."""
        blob = self._git.run("hash-object", f"--path={self.path}", str(self.genome))
        return blob != self._git.run("rev-parse", f"HEAD:{self.path}")

    def text(self, commit: str) -> str:
        """The genome at `commit`. Raises BadInput if it is not there or is not UTF-8."""
        if commit not in self._texts:
            content = self._git.run("cat-file", "blob", f"{commit}:{self.path}")
            try:
                self._keep(commit, content.decode())
            except UnicodeDecodeError:
                raise BadInput(
                    f"{self.path} at commit {commit[:12]} is not UTF-8 text; save it as UTF-8"
                ) from None
        return self._texts[commit]

    def commit(self, genome: str, parents: Sequence[str], message: str, at: float) -> str:
        """Commit `genome` into the tree of its first parent, dated `at` (unix seconds), and name the commit.

        The same arguments give the same commit. No ref leads to it yet: that is what marks are for.
        """
        assert parents, "a genome descends from something"
        name = self._git.commit([(self.path, self._mode, genome.encode())], parents, message, at)
        self._keep(name, genome)
        return name

    def _keep(self, commit: str, genome: str) -> None:
        """Have a genome at hand that git has; the one that was read first gives way."""
        self._texts[commit] = genome
        if len(self._texts) > _AT_HAND:
            del self._texts[next(iter(self._texts))]

    def follow(self, event: Event, population: Population) -> None:
        """Learn what git is to show of `event`, the last that `population` took in; `settle` makes it so."""
        marks = marks_after(event, population)
        self._unmoved |= marks.refs
        self._unwritten += marks.notes
        self._ends |= isinstance(event, Ended)
        self._at = marks.at

    def settle(self) -> None:
        """Make git show all it has to. Notes may wait for the next ones, but not when the run has ended."""
        # The second: unless a clock was put back.
        due = self._ends or not 0 <= self._at - self._noted_at < NOTES_EVERY_S
        notes = tuple(self._unwritten) if due else ()
        self.apply(Marks(self._unmoved, notes, self._at))
        self._unmoved, self._ends = {}, False
        if notes:
            self._unwritten, self._noted_at = [], self._at

    def repair(self, entries: Iterable[Entry], population: Population) -> None:
        """Make git show what the whole journal says, whatever a crash kept from being shown."""
        marks = marks_of(entries, population)
        there = self._refs()
        wrong = {ref: commit for ref, commit in marks.refs.items() if there.get(ref) != commit}
        self.apply(Marks(wrong, marks.notes, marks.at))

    def apply(self, marks: Marks) -> None:
        """Set refs, all or none, then notes. Applying them again changes nothing."""
        if marks.refs:
            lines = (f"update {r} {c}\n" if c else f"delete {r}\n" for r, c in marks.refs.items())
            self._git.run("update-ref", "--no-deref", "--stdin", stdin="".join(lines).encode())
        if marks.notes:
            self._annotate(marks.notes, marks.at)

    def _refs(self) -> dict[str, str]:
        """This run's refs and the commits they lead to."""
        ours = f"refs/lineages/{self.run}", f"refs/heads/lineages/{self.run}"
        lines = (
            self._git.run("for-each-ref", "--format=%(refname) %(objectname)", *ours).decode().splitlines()
        )
        return dict(line.split(" ") for line in lines)

    def _annotate(self, notes: Sequence[Note], at: float) -> None:
        """Add lines to notes. Another run may do so at the same moment; neither loses a line."""
        for attempt in range(_ATTEMPTS):
            tip = self._notes_tip()
            there = self._noted(tip, {note.commit for note in notes})
            changed = {c: text for c, text in _merged(there, notes).items() if text != there[c]}
            try:
                if changed:
                    self._git.annotate(NOTES, tip, changed, f"Notes of run {self.run}", at)
                break
            except BadInput:
                if self._notes_tip() == tip or attempt == _ATTEMPTS - 1:  # it was not another run
                    raise

    def _notes_tip(self) -> str | None:
        return self._git.run("for-each-ref", "--format=%(objectname)", NOTES).decode().strip() or None

    def _noted(self, tip: str | None, commits: Iterable[str]) -> dict[str, str]:
        """The notes on `commits` at `tip`, empty where there is none.

        git keeps the note on abcdef in the file abcdef, ab/cdef or ab/cd/ef, deeper the more there are.
        """
        places = [
            (c, f"{tip}:{path}")
            for c in commits
            for path in (c, f"{c[:2]}/{c[2:]}", f"{c[:2]}/{c[2:4]}/{c[4:]}")
        ]
        texts = dict.fromkeys((commit for commit, _ in places), "")
        if tip is not None:
            for (commit, _), content in zip(places, self._git.objects(p for _, p in places), strict=True):
                texts[commit] += (content or b"").decode(errors="replace")
        return texts


def _merged(there: dict[str, str], notes: Iterable[Note]) -> dict[str, str]:
    """Each line takes the place of the one with its key; lines of others stay."""
    merged = {commit: text.splitlines() for commit, text in there.items()}
    for note in notes:
        lines = merged[note.commit]
        if note.text not in lines:
            merged[note.commit] = [line for line in lines if not line.startswith(f"{note.key} ")] + [
                note.text
            ]
    return {commit: "".join(f"{line}\n" for line in lines) for commit, lines in merged.items()}


def _own_repository(task: Path, genome: Path, folder: Path) -> tuple[Plumbing, str]:
    """The run's own repository of the task's files, and the genome's path in it."""
    files = [(name, task / name) for name in TASK_FILES if (task / name).is_file() and task / name != genome]
    path = genome.relative_to(task).as_posix() if genome.is_relative_to(task) else genome.name
    return Plumbing.make(folder, [(path, genome), *files], genome.stat().st_mtime), path


def _checked_mode(git: Plumbing, run: str, genome: Path, path: str) -> str:
    """The genome's mode in HEAD's tree, if the repository is fit for a run."""
    mend = f"cd {git.folder} && git add {path} && git commit -m 'Begin'"
    if not git.exists("HEAD^{commit}"):
        raise BadInput(f"the repository {git.folder} has no commit yet: {mend}")
    entry = git.run("ls-tree", "--full-tree", "HEAD", "--", path).decode()
    if not entry:
        raise BadInput(f"{genome} is not committed in its repository: {mend}")
    for name in ("lineages", f"lineages/{run}"):
        if git.exists(f"refs/heads/{name}"):
            raise BadInput(
                f"the branch {name} stands where the run's branches go: git branch -m {name} NEWNAME"
            )
    return entry.split(" ", 1)[0]
