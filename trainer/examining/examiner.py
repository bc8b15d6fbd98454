"""Asks the examiner: starts `exam.py` as a process of its own and takes its one answer.

The answer comes through a socket that no other process can open, from a process that only root can look into
and that speaks last. One line and exit code 0 are the examiner's own word; a second line is someone else's,
and then there is no telling which is which.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trainer.running.launch import Start, cold
from trainer.running.log import Log
from trainer.running.watch import Exit, run
from trainer.sandbox import environment

ROOT = Path(__file__).resolve().parents[2]
EXAM = Path(__file__).parents[1] / "exam.py"


class ExamFailed(Exception):
    """The examiner could not do its work, through no fault of the candidate's; says why in one line."""


class Answer(msgspec.Struct, frozen=True):
    """What the examiner sends: a result in JSON, why the candidate has none, or what failed the examiner."""

    result: msgspec.Raw = msgspec.Raw()
    refused: str = ""
    failed: str = ""
    errno: int = 0  # of a failure, if the system said so


@dataclass(frozen=True)
class Reply:
    """`problem` is one line, empty if `result` holds the examiner's answer."""

    exit: Exit
    result: msgspec.Raw
    problem: str = ""


def ask(
    words: Sequence[str],
    folder: Path,
    device: str,
    told: Mapping[str, str],
    log: Log,
    limit_s: float,
    pulse: Callable[[float], None] = lambda elapsed_s: None,
    start: Start = cold,
) -> Reply:
    """Run `exam.py` with `words` in `folder`, which is also its scratch.

    Raises ExamFailed, and OSError for a full disk, where nobody can be blamed for the lack of an answer.
    """
    waiting = _Waiting(limit_s, pulse)
    command = [sys.executable, "-P", str(EXAM), *words]
    env = environment(str(folder), device, {**told, "PYTHONPATH": str(ROOT)})
    ended = run(command, folder, env, log, waiting, start=start)
    if ended.overdue:
        return Reply(ended, msgspec.Raw(), ended.excess or f"no answer within {limit_s:g} s")
    if ended.code < 0:
        raise ExamFailed(f"the examiner was {log.reason(ended.code)}")
    if ended.code > 0 or not waiting.lines:
        return Reply(ended, msgspec.Raw(), log.reason(ended.code))
    if len(waiting.lines) > 1:
        return Reply(ended, msgspec.Raw(), "someone answered in the examiner's place")
    answer = msgspec.json.decode(waiting.lines[0], type=Answer)
    if answer.failed:
        raise OSError(answer.errno, answer.failed) if answer.errno else ExamFailed(answer.failed)
    if answer.refused:  # a model server that died left a traceback of its own in the log
        said = log.last_error()
        return Reply(ended, msgspec.Raw(), f"{answer.refused}: {said}" if said else answer.refused)
    return Reply(ended, answer.result)


class _Waiting:
    """Oversees the examiner: one limit, and one line that is the answer."""

    def __init__(self, limit_s: float, pulse: Callable[[float], None]) -> None:
        self.lines: list[bytes] = []
        self._began = time.monotonic()
        self._limit_s = limit_s
        self._pulse = pulse

    def hear(self, line: bytes) -> None:
        self.lines = [*self.lines[:1], line]

    def left_s(self) -> float:
        return self._limit_s - self._elapsed_s()

    def pulse(self, memory_mb: float, processor_s: float) -> None:
        self._pulse(self._elapsed_s())

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began
