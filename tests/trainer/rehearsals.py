"""Rehearses genomes one after the other in forks of one process, which has imported torch once for all.

Run as a script: a list of [folder, setup, memory in MB] as JSON on standard input; on standard output, for
each, why it cannot be tried, or null. Everything after the imports happens as in a preflight.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch.utils.checkpoint

from trainer.checks import rehearsal
from trainer.preflight import Heard, verdict
from trainer.running.log import Log
from trainer.running.watch import Exit


def warm() -> None:
    """Import what a pass on the meta device imports, without starting a thread a fork would lack."""
    weights = torch.zeros(4, 4, device="meta", requires_grad=True)
    torch.nn.functional.cross_entropy(weights @ weights, torch.zeros(4, dtype=torch.int64, device="meta"))


def rehearsed(folder: str, setup: dict[str, object], memory_mb: float) -> str | None:
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        said = os.open(f"{folder}/said", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(folder)
        os.environ["LINEAGES_TELEMETRY"] = str(theirs)
        rehearsal.main(setup)
    os.close(theirs)
    heard = Heard("cpu", memory_mb)
    with os.fdopen(ours, "rb") as lines:
        while heard.left_s() > 0 and (line := lines.readline()):
            heard.hear(line)
    if heard.left_s() <= 0:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with Log() as log:
        log.write((Path(folder) / "said").read_bytes())
        return verdict(heard, Exit(code, False, 0.0, 0.0), log)


if __name__ == "__main__":
    warm()
    json.dump([rehearsed(*order) for order in json.load(sys.stdin)], sys.stdout)
