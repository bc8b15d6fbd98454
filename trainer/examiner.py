"""Asks the examiner: starts `trainer.exam` as a process of its own and takes its one answer."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trainer.log import Log
from trainer.sandbox import environment
from trainer.watch import Exit, run

ROOT = Path(__file__).resolve().parent.parent


class Answer(msgspec.Struct, frozen=True):
    """What the examiner sends: a result in JSON, or why there is none."""

    result: msgspec.Raw = msgspec.Raw()
    refused: str = ""


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
) -> Reply:
    """Run `python -m trainer.exam` with `words` in `folder`, which is also its scratch."""
    waiting = _Waiting(limit_s, pulse)
    command = [sys.executable, "-P", "-m", "trainer.exam", *words]
    env = environment(str(folder), device, {**told, "PYTHONPATH": str(ROOT)})
    ended = run(command, folder, env, log, waiting)
    answer = waiting.answer
    if ended.overdue:
        return Reply(ended, msgspec.Raw(), f"no answer within {limit_s:g} s")
    if answer is None or ended.code != 0:
        return Reply(ended, msgspec.Raw(), log.reason(ended.code))
    if answer.refused:  # a model server that died left a traceback of its own in the log
        said = log.last_error()
        return Reply(ended, msgspec.Raw(), f"{answer.refused}: {said}" if said else answer.refused)
    return Reply(ended, answer.result)


class _Waiting:
    """Oversees the examiner: one limit, one answer."""

    def __init__(self, limit_s: float, pulse: Callable[[float], None]) -> None:
        self.answer: Answer | None = None
        self._began = time.monotonic()
        self._limit_s = limit_s
        self._pulse = pulse

    def hear(self, line: bytes) -> None:
        self.answer = msgspec.json.decode(line, type=Answer)

    def left_s(self) -> float:
        return self._limit_s - self._elapsed_s()

    def pulse(self) -> None:
        self._pulse(self._elapsed_s())

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began
