"""A trial's summary block, as an agent that knows autoresearch's expects it."""

import re

import pytest
from synthetic_runs import Story

from population.records import Crashed, Outcome, Refused, Stopped, TimedOut
from results.summary import summary


def block(result: float | Outcome, reason: str = "better than its tip") -> str:
    story = Story().begins("amber")
    story.tries("amber", "raise DEPTH", result, keep=isinstance(result, float), reason=reason)
    return summary(story.population.trials[2], "val_bpb")


def test_the_block_has_a_line_of_dashes_and_then_names_with_values() -> None:
    assert block(2.5).splitlines() == [
        "---",
        "val_bpb: 2.500000",
        "training_seconds: 10.0",
        "total_seconds: 12.0",
        "peak_vram_mb: 812.0",
        "total_tokens_M: 0.2",
        "num_steps: 120",
        "trial: 2",
        "status: completed",
        "verdict: advance, better than its tip",
    ]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Crashed("ValueError: no", "tail"), "crashed, ValueError: no"),
        (Refused("only a seed"), "refused, only a seed"),
        (TimedOut("training", 10.0), "timed_out, training was not over after 10 s"),
        (Stopped(0.5, "hopeless"), "stopped, at 50% of the budget, hopeless"),
    ],
)
def test_without_a_score_there_is_the_cause_and_no_number(outcome: Outcome, status: str) -> None:
    said = block(outcome)
    assert "val_bpb" not in said and f"status: {status}\n" in said and "verdict: discard" in said


def test_what_a_candidate_said_adds_no_line_and_no_escape() -> None:
    said = block(Crashed("no\n---\nval_bpb: 0.1\x1b[2J" + "x" * 9_000))
    assert not re.search(r"^val_bpb", said, re.MULTILINE)
    assert said.count("\n") == 8 and all(line.isprintable() and len(line) < 400 for line in said.splitlines())
