"""A mind for tests of machines; in a file of its own so that an actor can import it."""

import os
import signal
from pathlib import Path

from population.proposals import NoIdea, Proposal, Request


class Odd:
    """A proposer that does what its brief says."""

    def propose(self, request: Request) -> Proposal | NoIdea:
        match request.brief:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fail":
                raise OSError(28, "No space left on device", "/full")
            case "rank":
                group = Path("/proc/self/autogroup")
                told = group.read_text().split() if group.exists() else []
                nice = told[-1] if told else 19  # some kernels have no groups, or say nothing of them
                return Proposal(f"X = {os.sched_getscheduler(0)}, {nice}\n", "how it is scheduled")
        return Proposal(f"X = {os.getpid()}\n", "an idea")
