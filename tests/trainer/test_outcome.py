from typing import get_args

from trainer.outcome import Completed, Crashed, Outcome, Refused, Stopped, TimedOut, cause, status

CAUSES: dict[Outcome, str] = {
    Stopped(0.4, "hopeless"): "at 40% of the budget, hopeless",
    Crashed("out of memory", "tail"): "out of memory",
    TimedOut("startup", 60.0): "startup was not over after 60 s",
    Refused("no submission"): "no submission",
}
OUTCOMES: list[Outcome] = [Completed(0.9), *CAUSES]


def test_every_outcome_has_the_status_it_is_written_down_with() -> None:
    assert {type(outcome) for outcome in OUTCOMES} == set(get_args(Outcome))
    assert [status(o) for o in OUTCOMES] == [type(o).__struct_config__.tag for o in OUTCOMES]


def test_only_what_has_no_score_has_a_cause() -> None:
    assert [cause(outcome) for outcome in OUTCOMES] == [None, *CAUSES.values()]
