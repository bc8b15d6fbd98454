import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from synthetic_runs import BASELINE, Story, ended, lost

from population.records import (
    Assigned,
    Clashed,
    Combined,
    Crashed,
    Declined,
    Ended,
    Event,
    Lost,
    Operator,
    Pruned,
    Refused,
    Resumed,
    Stopped,
    TimedOut,
)
from results.words import Limits, words

SIXTEEN = Limits(trials=16)


def told(story: Story, event: Event, limits: Limits = SIXTEEN) -> str | None:
    return words(event, story.population, limits)


def test_a_judged_trial_is_told_with_its_score_its_difference_and_the_reason() -> None:
    story = Story().begins("cedar", "juniper")
    judged = story.tries(
        "cedar", "raise MATRIX_LR 0.04 -> 0.06", 2.7134, keep=True, reason="clear of the noise"
    )
    line = "[ 2/16] cedar    2.7134 -0.0210  advance  raise MATRIX_LR 0.04 -> 0.06: clear of the noise"
    assert told(story, judged) == line


def test_a_baseline_has_no_difference_and_a_run_without_end_no_total() -> None:
    story = Story().founds("cedar")
    judged = story.tries(
        "cedar", "the baseline", 2.7344, keep=True, operator="baseline", reason="the first score"
    )
    assert (
        told(story, judged, Limits()) == "[  1] cedar  2.7344          advance  the baseline: the first score"
    )


def test_a_trial_without_a_score_is_told_with_its_cause() -> None:
    story = Story().begins("cedar")
    outcomes = [
        Crashed("CUDA out of memory", "tail"),
        TimedOut("startup", 60.0),
        Refused("changes only a seed"),
        Stopped(0.4, "hopeless"),
    ]
    assert [told(story, story.tries("cedar", "lift DEPTH", outcome)) for outcome in outcomes] == [
        "[ 2/16] cedar  crashed         discard  lift DEPTH: CUDA out of memory",
        "[ 3/16] cedar  timed out       discard  lift DEPTH: startup was not over after 60 s",
        "[ 4/16] cedar  refused         discard  lift DEPTH: changes only a seed",
        "[ 5/16] cedar  stopped         discard  lift DEPTH: at 40% of the budget, hopeless",
    ]


def test_the_beginning_the_end_and_what_goes_wrong_between_are_told() -> None:
    story = Story().begins("cedar")
    lost(story, "cedar", "lift DEPTH")
    assert [line for entry in ended(story).entries if (line := told(story, entry.event))] == [
        "run dawn: promise on cpu, 10 s a trial, val_bpb (lower is better)",
        "cedar founded (default, mutate): a line of its own",
        "[ 1/16] cedar  2.7344          advance  the baseline: the first score",
        "trial 2 lost: the scheduler was killed; its candidate gets another turn",
        "ended: 16 trials are done",
    ]
    assert told(story, story.happens(Resumed())) == "resumed after 1 trial"


def test_steps_on_the_way_to_a_verdict_are_not_told() -> None:
    story = Story().begins("cedar")
    story.runs(story.proposes("cedar", "lift DEPTH"))
    assert isinstance(story.entries[-1].event, Assigned)
    assert [told(story, entry.event) for entry in story.entries[-2:]] == [None, None]


def test_what_is_not_proven_is_told_as_such_and_a_repeat_as_one_without_a_difference() -> None:
    story = Story().begins("cedar")
    candidate = story.doubts("cedar", "lift DEPTH", 2.7300)
    assert told(story, story.entries[-1].event) == (
        "[ 2/16] cedar  2.7300 -0.0044  confirm  lift DEPTH: inside the noise"
    )
    again = story.measures(candidate, 2.7200, "advance", "likely better")
    assert told(story, again) == "[ 3/16] cedar  2.7200          advance  again: lift DEPTH: likely better"


def test_a_win_that_spreads_is_told_once_as_the_verdict_on_it() -> None:
    story = Story().begins("cedar", "moss")
    story.tries("cedar", "lift DEPTH", 2.5, keep=True)
    story.adopts(story.population.lineages["cedar"].tip, "moss")
    assert told(story, story.entries[-1].event) is None


def test_a_step_aside_and_the_way_back_are_told_with_their_reasons() -> None:
    story = Story().begins("cedar", "moss")
    near = story.doubts("cedar", "lift DEPTH", 2.73)
    story.adopts(near.commit, "moss", reason="to look around")
    assert told(story, story.entries[-1].event) == "moss steps aside, onto trial 2: to look around"
    story.tries("moss", "no luck", 2.9)
    story.adopts(BASELINE, "moss", reason="nothing better was found there")
    assert told(story, story.entries[-1].event) == (
        "moss goes back, onto trial 1: nothing better was found there"
    )


def test_what_is_tried_together_is_told_and_so_is_what_cannot_be() -> None:
    story = Story().begins("cedar")
    one, other = story.doubts("cedar", "lift DEPTH", 2.73), story.doubts("cedar", "lift HEADS", 2.72)
    clashed = story.clashes("cedar", one, other)
    assert told(story, clashed) == "cedar cannot try 2, 3 together: they change the same things"
    story.combines("cedar", other)
    assert told(story, story.entries[-2].event) == (
        "cedar tries the change of trial 3 again: since none is proven alone"
    )


def test_that_what_waits_is_rebased_or_dropped_is_not_told() -> None:
    story = Story().begins("cedar")
    waiting = story.proposes("cedar", "lift DEPTH")
    story.happens(Combined("cedar", BASELINE, (waiting.number,), "mutate", "its tip has moved on"))
    assert told(story, story.entries[-1].event) is None
    assert told(story, story.happens(Clashed("cedar", (waiting.number,), "nothing new"))) is None


def test_a_lineage_that_ends_is_told_with_the_reason() -> None:
    story = Story().begins("cedar", "moss")
    pruned = story.happens(Pruned("moss", "gains less than a quarter of what cedar does"))
    assert told(story, pruned) == "moss pruned: gains less than a quarter of what cedar does"


def test_a_lineage_without_ideas_is_told_once() -> None:
    story = Story().begins("cedar")
    declined = Declined("cedar", "0" * 40, "every change was tried before")
    assert told(story, story.happens(declined)) == "cedar has no new idea: every change was tried before"
    assert told(story, story.happens(declined)) is None


def test_a_mind_that_cannot_be_reached_is_told_when_it_is_lost_and_so_is_the_optimiser_at_its_end() -> None:
    story = Story().begins("cedar")
    story.happens(Declined("cedar", BASELINE, "nothing new"))
    lost = Declined("cedar", BASELINE, "429 after 5 attempts", failed=True)
    assert told(story, story.happens(lost)) == "cedar cannot reach its mind: 429 after 5 attempts"
    dry = Declined("cedar", BASELINE, "all was tried", stood_in=True)
    assert told(story, story.happens(dry)) == "the optimiser has no new idea for cedar: all was tried"
    assert [told(story, story.happens(event)) for event in (lost, dry)] == [None, None]


def test_what_was_sent_is_told_when_it_comes_and_what_is_no_new_idea_says_so_in_its_verdict() -> None:
    story = Story().begins("cedar")
    sent = story.proposes("cedar", "lift DEPTH", "external", proposer="submit")
    assert told(story, story.entries[-1].event) == "cedar is sent an idea: lift DEPTH"
    asked: list[tuple[Operator, str]] = [("revisit", "revisited"), ("merge", "fitted")]
    lines = [told(story, story.measures(sent, 2.9, "discard"))]
    for operator, _ in asked:
        candidate = story.proposes("cedar", "lift HEADS", operator, about=sent.number)
        assert told(story, story.entries[-1].event) is None
        lines.append(told(story, story.measures(candidate, 2.9, "discard")))
    ends = ["sent: lift DEPTH", *(f"{word}: lift HEADS" for _, word in asked)]
    assert [str(line).partition("discard  ")[2] for line in lines] == ends


def test_hostile_ideas_and_reasons_become_harmless_words() -> None:
    story = Story().begins("cedar")
    judged = story.tries(
        "cedar", "\x1b[2J\nadvance [red]x" + "y" * 500, Crashed("\x1b]0;owned\x07a\r\nb" + "z" * 500)
    )
    line = told(story, judged)
    assert line is not None and line.isprintable() and len(line) < 250
    assert "advance [red]xyyy" in line and "a bzzz" in line


LONG = "raise MATRIX_LR 0.04 -> 0.06 and lower WIDTH 256 -> 128"


@pytest.mark.parametrize("name", ["dune", "thistle", "juniper2"])
@pytest.mark.parametrize("trials", [16, 99, 2000])
def test_where_there_is_little_room_an_idea_keeps_forty_columns_and_the_reason_goes(
    name: str, trials: int
) -> None:
    story = Story().begins(name)
    judged = story.tries(name, LONG, 2.7134, keep=True, reason="better than its tip")
    line = words(judged, story.population, Limits(trials), width=80)
    assert line is not None and len(line) <= 80
    before, verdict, idea = line.partition(" advance ")
    assert before.startswith("[") and verdict and before.rstrip().endswith(" 2.7134 -0.0210")
    assert LONG.startswith(idea.strip().rstrip("…")) and len(idea.strip()) >= 39


def test_where_there_is_room_for_a_part_of_the_reason_that_part_is_told() -> None:
    story = Story().begins("cedar")
    judged = story.tries("cedar", "lift DEPTH", Crashed("CUDA out of memory: tried to allocate 2 GiB"))
    line = words(judged, story.population, SIXTEEN, width=80)
    assert line == "[ 2/16] cedar  crashed         discard  lift DEPTH: CUDA out of memory: tried t…"


@given(st.text(), st.text(), st.integers(60, 200))
def test_a_line_of_a_trial_fits_any_ordinary_console(idea: str, reason: str, width: int) -> None:
    story = Story().begins("cedar")
    judged = story.tries("cedar", idea, Crashed(reason))
    line = words(judged, story.population, SIXTEEN, width)
    assert line is not None and line.isprintable() and cell_len(line) <= max(width, 78)


def test_a_long_reason_for_the_end_is_one_line() -> None:
    line = told(Story().begins("cedar"), Ended("the baseline has no score:\n" + "crashed " * 50))
    assert line is not None and line.isprintable() and len(line) <= 107


def test_a_lost_trial_is_no_number_in_the_count() -> None:
    story = Story().begins("cedar")
    again = lost(story, "cedar", "lift DEPTH")
    story.runs(again)
    assert isinstance(story.happens(Lost(3, "power")), Lost)
    judged = story.tries("cedar", "lower DEPTH", 2.7, keep=True)
    assert str(told(story, judged)).startswith("[ 2/16] cedar")
