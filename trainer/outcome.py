"""What became of a trial: one of five outcomes, and what the trial used.

Lower scores are better, everywhere in this program; it is said here, where a score is defined. A trial that
has no score has no number that could be mistaken for one.
"""

from typing import TypeAlias, assert_never

from msgspec import Struct

from trainer.curve import Curve


class Completed(Struct, frozen=True, tag="completed"):
    """Trained, submitted and examined. `score` is the task's METRIC (lower is better) and is finite."""

    score: float
    metrics: dict[str, float] = {}


class Stopped(Struct, frozen=True, tag="stopped"):
    """Stopped by the harness at `fraction` (0 to 1) of the budget because it was hopeless."""

    fraction: float
    reason: str


class Crashed(Struct, frozen=True, tag="crashed"):
    """Ended without a submission. `reason` is one line; `tail` the last lines it printed, untrusted text."""

    reason: str
    tail: str = ""


class TimedOut(Struct, frozen=True, tag="timed_out"):
    """Was still busy in `phase` (startup, training or exam) when its limit was over, and was killed."""

    phase: str
    limit_s: float


class Refused(Struct, frozen=True, tag="refused"):
    """Broke a rule, or left a submission the exam could not accept."""

    reason: str


Outcome: TypeAlias = Completed | Stopped | Crashed | TimedOut | Refused


def status(outcome: Outcome) -> str:
    """The outcome in one word: completed, stopped, crashed, timed_out or refused."""
    match outcome:
        case Completed():
            return "completed"
        case Stopped():
            return "stopped"
        case Crashed():
            return "crashed"
        case TimedOut():
            return "timed_out"
        case Refused():
            return "refused"
        case _:
            assert_never(outcome)


def failed(outcome: Outcome | None) -> bool:
    """Whether a trial came to its end without a score, and not because it was hopeless."""
    return isinstance(outcome, Crashed | TimedOut | Refused)


def cause(outcome: Outcome) -> str | None:
    """Why there is no score, as untrusted text to stand beside the status; None if there is one."""
    match outcome:
        case Completed():
            return None
        case Stopped(fraction, reason):
            return f"at {fraction:.0%} of the budget, {reason}"
        case Crashed(reason) | Refused(reason):
            return reason
        case TimedOut(phase, limit_s):
            return f"{phase} was not over after {limit_s:g} s"
        case _:
            assert_never(outcome)


class Usage(Struct, frozen=True):
    """What a trial used, measured by the harness, in seconds of wall time and MiB.

    `started_at` is when the trial was given the GPU; until then it may have started up for `ahead_s`, while
    another one trained. `startup_s` ends when the clock starts, `training_s` when the process is gone; a task
    without a clock has no start-up and trains from its first instruction. `wall_s` is all of it, from
    `started_at` on. `steps`, `trained_tokens` and `curve` are the candidate's own word, as telemetry is.
    """

    started_at: float  # unix seconds
    startup_s: float = 0.0
    training_s: float = 0.0
    exam_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0  # of the card on CUDA, of the machine otherwise
    steps: int = 0
    trained_tokens: int = 0
    curve: Curve = ()
    ahead_s: float = 0.0
    utilisation: float | None = None  # mean of the card's while it trained, 0 to 1; None if it cannot be told
    gpu: int = 0  # which of several, counted from 0


class Report(Struct, frozen=True):
    """All that one trial says: its outcome and what it used."""

    outcome: Outcome
    usage: Usage


class Progress(Struct, frozen=True):
    """Where a running trial stands; for people to look at, never for a decision about its score."""

    phase: str  # startup, training, exam
    elapsed_s: float  # in this phase
    limit_s: float  # of this phase
    fraction: float = 0.0  # of the budget
    loss: float | None = None
    steps: int = 0
    gpu: int = 0  # which of several, counted from 0
