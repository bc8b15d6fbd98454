"""Asks a short program a question: what it printed, within a time limit, and never an exception."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from trainer.running.log import Log, one_line


class Said(Struct, frozen=True):
    """What a program printed, and in one line what went wrong; an empty `problem` is exit code 0."""

    out: str
    problem: str = ""


def ask(
    command: Sequence[str],
    limit_s: float,
    folder: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Said:
    """Run `command` until it ends; it is killed after `limit_s` seconds, and what it said by then is kept."""
    try:
        ended = subprocess.run(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as overdue:
        return Said(_text(overdue.stdout), f"no answer within {limit_s:g} s")
    except OSError as error:
        return Said("", f"{command[0]}: {error.strerror or error}")
    if ended.returncode == 0:
        return Said(_text(ended.stdout))
    return Said(_text(ended.stdout), _reason(ended.stderr, ended.returncode))


def _reason(errors: bytes, code: int) -> str:
    """Git's first fatal line, since a remedy for another case may follow; else what a log would say."""
    fatal = next((line for line in _text(errors).splitlines() if line.startswith("fatal: ")), "")
    with Log() as log:
        log.write(errors)
        return one_line(fatal) or log.reason(code)


def _text(said: bytes | None) -> str:
    return (said or b"").decode(errors="replace")
