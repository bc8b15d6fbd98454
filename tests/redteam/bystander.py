"""A process that has nothing to do with any trial and notes every signal it gets: the target of some genomes.

python -I bystander.py KEY FILE
"""

import contextlib
import signal
import sys
from pathlib import Path


def note(number: int, frame: object) -> None:
    with Path(sys.argv[2]).open("a") as heard:
        heard.write(f"{signal.Signals(number).name}\n")


for one in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    with contextlib.suppress(OSError):
        signal.signal(one, note)
print("ready", flush=True)
sys.stdin.read()
