"""A coding agent on the command line as a mind: it edits train.py in its lineage's own worktree.

The agent is the user's own tool and is trusted like one: it has their environment, keys, files and network,
and nothing here confines it. It is kept from doing harm by mistake: it has a worktree to itself, no GPU to
spoil a trial on, limits of time, processes and disk, a log of limited length, and no process of it outlives
its answer; it gains no privileges, so sudo fails. Of all that it leaves only the text of train.py is taken,
and that is a stranger's code like any other.
"""

import os
import shlex
import shutil
import time
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from population.proposals import NoIdea, Proposal, Reply, Request, Unusable
from population.proposers import desk
from population.records import Thought
from population.repository.worktrees import NotTaken, Worktree
from population.telling.prompt import record
from trainer.errors import BadInput
from trainer.running.log import Log, one_line
from trainer.running.watch import Exit, run

GENOME_BYTES: Final = 2**20  # the longest train.py that is taken
NOTE_BYTES: Final = 2**16
LOG_BYTES: Final = 2**23  # a lineage's log that is longer is put aside as .old
NAMED: Final = 5  # files that are named before the rest is counted

# A hook that calls us has set these to another worktree than the agent's.
_GIT = {
    "GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}  # fmt: skip
# The one thing a shell does here. Its name, $0, is the file; the command comes to it as it is.
_READING = ("/bin/sh", "-c", 'exec "$@" <"$0"')
_SHELL = ("<", ">", "|", "&", ";", "1>", "2>")  # what begins a word that only a shell understands


class Agent:
    """Any headless coding agent, by the command that runs it, such as `claude -p {prompt}`.

    The command is cut into words as a shell would, and no shell runs it. In every word {prompt_file} becomes
    the path of a file with the prompt, {prompt} the prompt itself and {folder} the worktree, where the
    command also starts. With none of the first two, the prompt is its standard input.

    A change is taken from an agent that ended well, or badly but with IDEA.txt written, by which it says that
    it was done; what was cut off in the middle of work is dropped. `folder` is RUN/worktrees/LINEAGE, and
    what the agent prints goes to a log beside it. Raises BadInput for a command that cannot be run.
    """

    def __init__(self, command: str, task: str, folder: str, limit_s: float = 900.0) -> None:
        self.command = _words(command)
        self.task, self.folder, self.limit_s = task, folder, limit_s
        self.log = f"{folder}.log"

    def propose(self, request: Request) -> Reply:
        begun = time.monotonic()
        try:
            worktree = Worktree.of(Path(self.task), Path(self.folder))
            self._lay_out(worktree, request)
        except BadInput as error:
            return NoIdea(one_line(str(error)), failed=True)
        self._note(f"asked for {request.lineage}, from {request.parent[:12]}: {shlex.join(self.command)}")
        with Log(Path(self.log)) as log:
            ended = self._run(worktree, log)
        left = _left(worktree, request.parent)
        if left.dropped:
            self._note(f"only {worktree.genome} is taken; dropped: {left.dropped}")
        reply = self._judged(request, worktree.genome, left, ended, log)
        self._note(f"proposed: {reply.idea}" if isinstance(reply, Proposal) else reply.reason)
        return replace(reply, thought=Thought(wall_s=time.monotonic() - begun))

    def _lay_out(self, worktree: Worktree, request: Request) -> None:
        """Make worktree and desk what they are to be. An answer that is to be mended stays as it was left."""
        note, attempt = "", None
        if request.turned:
            note, attempt = _note_in(worktree), _genome_in(worktree)
        worktree.reset(request.parent)
        kept = isinstance(attempt, str)
        worktree.put(attempt if isinstance(attempt, str) else request.genome)
        files = desk.to_read(request, worktree.genome, record(request), self.limit_s, kept)
        desk.lay_out(worktree.folder, files | ({"IDEA.txt": note} if kept and note else {}))

    def _run(self, worktree: Worktree, log: Log) -> Exit:
        prompt = worktree.folder / desk.PROMPT
        words, told = _filled(self.command, prompt, worktree.folder)
        kept = {name: value for name, value in os.environ.items() if name not in _GIT}
        environment = kept | {
            # Should the worktree's .git be lost, git must not take the repository around it for the agent's.
            "GIT_CEILING_DIRECTORIES": str(worktree.folder.parent),
            "CUDA_VISIBLE_DEVICES": "",
        }
        command = words if told else [*_READING, str(prompt), *words]
        return run(command, worktree.folder, environment, log, _Clock(self.limit_s))

    def _judged(self, request: Request, genome: str, left: "_Left", ended: Exit, log: Log) -> Reply:
        """What the agent left, and how it ended, come to."""
        said = log.tail()
        if ended.overdue:
            why = ended.excess or f"it did not end within {self.limit_s:g} s"
            return NoIdea(f"the agent was stopped: {why}", failed=True)
        if ended.code != 0 and not left.idea.words:
            return NoIdea(f"the agent failed: {log.reason(ended.code)}", failed=True)
        if isinstance(left.genome, NotTaken):
            return Unusable(f"{genome} {left.genome}", said)
        if left.genome == request.genome:
            others = f", and only {genome} is taken of what was changed: {left.dropped}"
            return Unusable(f"{genome} is as it was{others if left.dropped else ''}", said)
        idea = left.idea.words or one_line(said.rpartition("\n")[2]) or "a change its author said nothing of"
        return Proposal(left.genome, idea, expected=left.idea.expected, said=said)

    def _note(self, line: str) -> None:
        """Add a line of ours to the log, or to a new one if it has become long."""
        path = Path(self.log)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(f"{path}.old")
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"\n=== {time.strftime('%H:%M:%S')} {one_line(line)}\n")


class _Clock:
    """Oversees an agent, which tells nothing while it runs, for so many seconds."""

    def __init__(self, limit_s: float) -> None:
        self._until = time.monotonic() + limit_s

    def hear(self, line: bytes) -> None:
        pass

    def left_s(self) -> float:
        return self._until - time.monotonic()

    def pulse(self, memory_mb: float, processor_s: float) -> None:
        pass


class _Left(Struct, frozen=True):
    """What an agent left in its worktree."""

    genome: str | NotTaken
    idea: desk.Idea
    dropped: str  # other files that it changed, in words


def _left(worktree: Worktree, parent: str) -> _Left:
    try:
        others = [path for path in worktree.changed(parent) if path != worktree.genome]
        others = [path for path in others if not path.startswith(f"{desk.FOLDER}/")]
        more = [f"{len(others) - NAMED} more"] if len(others) > NAMED else []
        dropped = ", ".join([*others[:NAMED], *more])
    except BadInput:
        dropped = "git's records of the worktree"
    return _Left(_genome_in(worktree), desk.idea_of(_note_in(worktree)), dropped)


def _genome_in(worktree: Worktree) -> str | NotTaken:
    try:
        return worktree.take(worktree.genome, GENOME_BYTES).decode()
    except NotTaken as problem:
        return problem
    except UnicodeDecodeError:
        return NotTaken("is not UTF-8 text")


def _note_in(worktree: Worktree) -> str:
    try:
        return worktree.take(desk.IDEA, NOTE_BYTES).decode(errors="replace")
    except NotTaken:
        return ""


def _words(command: str) -> tuple[str, ...]:
    """The words of a command, its program found. Raises BadInput."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--agent {command!r}: {error}") from None
    if not words:
        raise BadInput("--agent needs a command, such as 'claude -p {prompt}'")
    if shell := next((word for word in words if word.startswith(_SHELL)), None):
        raise BadInput(
            f"--agent: no shell reads the command, so {shell!r} has no meaning; without {{prompt}} and "
            "{prompt_file} the prompt is the command's standard input"
        )
    program = shutil.which(words[0])
    if program is None:
        raise BadInput(f"--agent: there is no program {words[0]!r} here; install it or give its path")
    return str(Path(program).absolute()), *words[1:]


def _filled(command: tuple[str, ...], prompt: Path, folder: Path) -> tuple[list[str], bool]:
    """The words with their places filled in, and whether they tell the prompt."""
    text = prompt.read_text(encoding="utf-8")
    told = any(place in word for place in ("{prompt}", "{prompt_file}") for word in command)
    # The prompt comes last: what it says is not filled in again.
    filled = [
        word.replace("{folder}", str(folder)).replace("{prompt_file}", str(prompt)).replace("{prompt}", text)
        for word in command
    ]
    return filled, told
