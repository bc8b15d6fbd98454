import io
import re
from collections.abc import Mapping

import pytest
from rich.cells import cell_len
from rich.console import Console
from synthetic_runs import BASELINE, Story, ended, searched

from population.records import Crashed, Founded, Pruned
from population.state import Population, apply
from results.pace import Pace
from results.panel import panel, sparkline
from results.terminal import View
from results.words import Limits
from trainer.outcome import Progress

SIXTEEN = Limits(trials=16)
TRAINING = Progress("training", 4.2, 10.0, 0.42, 2.913, 120)


def watched(story: Story, live: bool, limits: Limits = SIXTEEN) -> str:
    """What a View writes when it is told a whole story, shown after every event."""
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=live)
    population = Population()
    with View(console, limits, live=live) as view:
        for entry in story.entries:
            apply(population, entry)
            view.tell(entry.event, population)
            view.show(population, dict.fromkeys(population.running, TRAINING), {"moss": 0.0})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def drawn(
    story: Story,
    width: int = 80,
    height: int = 24,
    progress: Progress | None = TRAINING,
    phases: Mapping[int, Progress] | None = None,
) -> list[str]:
    """The panel; all trials under way are at the same `progress` where `phases` does not say more."""
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    under_way = {number: progress for number in story.population.running if progress is not None}
    console.print(
        panel(story.population, phases or under_way, {"moss": 3.0}, "5 of 16 trials", width, height)
    )
    return console.export_text().splitlines()


def test_without_a_terminal_a_run_is_one_plain_line_an_event() -> None:
    story = Story().begins("cedar", "moss")
    story.tries("moss", "raise DEPTH 4 -> 6", 2.7, keep=True, reason="clear of the noise")
    story.tries("cedar", "raise [DEPTH] 4 -> 16", Crashed("out of memory " + 10 * "very "))
    assert watched(ended(story), live=False).splitlines() == [
        "run dawn: promise on cpu, 10 s a trial, val_bpb (lower is better)",
        "cedar founded (default, mutate): a line of its own",
        "moss founded (default, mutate): a line of its own",
        "[ 1/16] cedar  2.7344          advance  the baseline: the first score",
        "[ 2/16] moss   2.7000 -0.0344  advance  raise DEPTH 4 -> 6: clear of the noise",
        "[ 3/16] cedar  crashed         discard  raise [DEPTH] 4 -> 16: out of memory "
        "very very very very very very very very very very",
        "ended: 16 trials are done",
    ]


def test_a_pipe_gets_plain_lines_even_where_colours_are_forced() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with View(console) as view:
        view.show(Story().begins("cedar").population, {1: TRAINING})
    assert isinstance(console.file, io.StringIO) and console.file.getvalue() == ""


def test_on_a_terminal_every_event_scrolls_by_and_no_alternate_screen_is_used() -> None:
    text = watched(searched(12), live=True, limits=Limits(trials=12, hours=1.0))
    assert "\x1b[?1049h" not in text
    assert all(f"{n}/12]" in text for n in range(1, 13))


def test_the_panel_below_a_verdict_has_its_trial_counted_already() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    story, population = Story().begins("cedar"), Population()
    with View(console, SIXTEEN, live=True) as view:
        *earlier, finished, judged = story.entries
        for entry in earlier:
            apply(population, entry)
        view.show(population, dict.fromkeys(population.running, TRAINING))
        for entry in (finished, judged):
            apply(population, entry)
            view.tell(entry.event, population)
        assert isinstance(console.file, io.StringIO)
        below = console.file.getvalue().partition("the baseline: the first score")[2]
    assert "1 of 16 trials" in below and "0 of 16 trials" not in below


@pytest.mark.parametrize("seconds", [0.0, 59.4, 59.6, 7000.0])
def test_in_eighty_columns_proposers_and_states_of_the_usual_names_are_whole(seconds: float) -> None:
    story = Story()
    story.happens(Founded("thistle", "optimiser", "mutate/tpe", BASELINE, "a line of its own"))
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(panel(story.population, {}, {"thistle": seconds}, "5 of 16 trials", 80, 24))
    row = next(line for line in console.export_text().splitlines() if line.startswith("thistle"))
    assert "mutate/tpe" in row and "thinks" in row and "…" not in row


def test_the_panel_shows_each_lineage_the_trial_and_the_budget() -> None:
    story = searched(16, ("cedar", "birch", "juniper"))
    story.proposes("birch", "lower HEADS")
    story.founds("moss").runs(story.proposes("cedar", "raise DEPTH 4 -> 6"))
    text = "\n".join(drawn(story))
    cedar = next(line for line in text.splitlines() if line.startswith("cedar"))
    assert cedar.split()[-1] == "training" and re.search(r" 3/7 2\.\d+±0\.\d+  0\.\d+ ", cedar)
    assert "ready" in text and "thinks 3 s" in text and "waiting" in text
    assert "trial 17  cedar  raise DEPTH 4 -> 6" in text
    assert "42%" in text and "6 s left" in text and "loss 2.913" in text and "5 of 16 trials" in text


def test_several_trials_under_way_have_a_line_each_with_what_is_left_of_them() -> None:
    story = Story().begins("cedar", "moss", "birch")
    numbers = [story.runs(story.proposes(name, f"an idea of {name}")) for name in ("cedar", "moss", "birch")]
    phases = TRAINING, Progress("startup", 3.0, 60.0, gpu=1)
    lines = drawn(story, phases=dict(zip(numbers, phases, strict=False)))[-4:-1]
    firsts = [" ".join(line.split()[:5]) for line in lines[:2]]
    assert firsts == ["2 cedar GPU 0 training", "3 moss GPU 1 startup"]
    assert "6 s left" in lines[0] and "57 s at most" in lines[1]
    assert all(
        f"an idea of {name}" in line for name, line in zip(("cedar", "moss", "birch"), lines, strict=True)
    )


def test_of_many_trials_under_way_as_many_are_shown_as_leave_room_for_the_lineages() -> None:
    story = Story().begins(*(f"line{n}" for n in range(8)))
    for n in range(16):
        story.runs(story.proposes(f"line{n % 8}", f"idea {n}"))
    text = drawn(story)
    assert len(text) <= 24 and sum("idea " in line for line in text) == 8 and "+ 8 more" in text[-2]
    assert all(any(line.startswith(f"line{n} ") for line in text) for n in range(8))


def test_what_lineages_promise_is_shown_where_somebody_goes_by_it() -> None:
    assert "promise" in drawn(searched(16))[1]
    assert "promise" not in drawn(Story(policy="greedy").begins("cedar"))[1]


def test_the_duty_of_the_gpu_is_told_once_a_trial_is_over() -> None:
    story = Story().founds("cedar")
    story.runs(story.proposes("cedar", "the baseline", "baseline"))
    assert "GPU duty" not in watched(story, live=True)
    assert re.search(r"GPU duty [1-9]\d%", watched(Story().begins("cedar"), live=True))


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("height", [8, 24])
def test_the_panel_never_leaves_the_console(width: int, height: int) -> None:
    story = searched(60, tuple(f"a long name {n}" for n in range(30)))
    story.runs(story.proposes("a long name 7", "漢[red]\x1b[2J" * 100))
    for progress in (
        None,
        TRAINING,
        Progress("startup", 3.0, 60.0),
        Progress("exam", 99.0, 9.0, 1.0, float("nan")),
    ):
        lines = drawn(story, width, height, progress)
        assert max(map(cell_len, lines)) <= width
        assert len(lines) <= max(height, 11)
        assert any("a long" in line for line in lines)


@pytest.mark.parametrize(
    "story", [Story(), Story().founds("cedar"), Story("miss_rate").begins("cedar", score=0.0)]
)
def test_the_panel_of_a_run_that_has_hardly_begun_is_drawn(story: Story) -> None:
    assert any("no trial under way" in line for line in drawn(story))


def test_the_panel_stands_when_nothing_has_a_score() -> None:
    story = Story().founds("cedar")
    for _ in range(3):
        story.tries("cedar", "an idea", Crashed("out of memory"))
    assert any(line.startswith("cedar") and "···" in line for line in drawn(story))


def test_a_tip_is_shown_as_what_is_known_of_it_and_not_as_its_luckiest_score() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "a lucky idea", 2.70, keep=True)
    for score in (2.74, 2.75, 2.74):
        story.measures(story.population.candidates[2], score, "confirm", "measured again")
    cedar = next(line for line in drawn(story) if line.startswith("cedar"))
    tip = re.search(r" (2\.\d+)±", cedar)
    assert tip and float(tip[1]) > 2.72


def test_a_pruned_lineage_is_counted_and_not_shown() -> None:
    story = Story().begins("cedar", "moss")
    story.happens(Pruned("moss", "gains less than cedar"))
    text = "\n".join(drawn(story))
    assert "moss" not in text and "1 pruned" in text


def test_a_sparkline_is_low_where_a_score_is_good_and_full_at_the_baseline() -> None:
    assert sparkline([2.0, 1.5, 1.0, None, 9.0, 0.5], floor=1.0, ceiling=2.0) == "█▅▁·█▁"
    assert sparkline([2.0], floor=2.0, ceiling=2.0) == "█"


def test_the_time_left_follows_the_pace_and_the_first_limit_met() -> None:
    pace = Pace(began=100.0)
    pace.observe(100.0, finished=4)
    assert pace.left_s(105.0, Limits(trials=16)) is None
    pace.observe(120.0, finished=6)
    assert pace.left_s(125.0, Limits(trials=16)) == 95.0
    assert pace.left_s(125.0, Limits(trials=16, hours=0.01)) == 11.0
    assert pace.left_s(125.0, Limits()) is None
    assert pace.budget(125.0, Limits(trials=16)) == "6 of 16 trials · 25 s · about 1 m 35 s left"
