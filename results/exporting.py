"""Has the exports of a run written by a process of its own, so that what they import and what they leave in
memory is not the scheduler's.

The scheduler asks with a line and waits for the answer, a line as well. The process reads the journal itself,
dies with the scheduler, and makes way for a new one now and then.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from msgspec import Struct

from population.journal import folded, read
from population.state import Population
from trainer.errors import BadInput

MOST: Final = 200  # exports that one process writes
_ASK: Final = b"\n"


class Answer(Struct, frozen=True):
    """How an export went: with `text` empty, well; `errno` and `file` are those of an error of the system."""

    text: str = ""
    errno: int | None = None
    file: str | None = None


class Exporter:
    """Called like `results.exports.write_exports`; `command` starts what calls `answer` for the run's folder.

    `with` starts it at once, so that it is ready when the first trial is over.
    """

    def __init__(self, command: Sequence[str], most: int = MOST) -> None:
        self._command, self._most, self._left = command, most, most
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, folder: Path, population: Population, genome_of: Callable[[str], str]) -> None:
        """Bring the exports up to date with the journal. Raises OSError and BadInput as writing them does.

        If the process is gone, perhaps for want of memory, another is started, once.
        """
        line = self._asked() or self._asked()
        if not line:
            raise ChildProcessError("what writes the exports has ended, twice; why, it has said above")
        self._left -= 1
        if not self._left:
            self._begin()
        answer = msgspec.json.decode(line, type=Answer)
        if answer.errno is not None:
            raise OSError(answer.errno, answer.text, answer.file)
        if answer.text:
            raise BadInput(answer.text)

    def _asked(self) -> bytes:
        """The answer; none if the process is gone, and then there is a new one."""
        assert self._process and self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(_ASK)
            if line := self._process.stdout.readline():
                return line
        self._begin()
        return b""

    def _begin(self) -> None:
        """Start a process, in the place of the one there was. Ctrl-C is not for it."""
        self._end()
        self._process = subprocess.Popen(
            self._command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._left = self._most

    def _end(self) -> None:
        if self._process is not None:
            with self._process as process:
                process.kill()

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def answer(folder: Path, genome_of: Callable[[str], str]) -> None:
    """Bring the exports of the run in `folder` up to date for each line of input, until that ends."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as says:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anything prints is no answer
        from results.exports import write_exports  # takes a second, and the scheduler needs none of it

        for _ in sys.stdin.buffer:
            found = Answer()
            try:
                journal = folder / "journal.jsonl"
                write_exports(folder, folded(journal, read(journal)), genome_of)
            except BadInput as error:
                found = Answer(str(error))
            except OSError as error:
                if error.errno is None:
                    raise
                found = Answer(error.strerror or "", error.errno, error.filename)
            says.write(msgspec.json.encode(found) + b"\n")
