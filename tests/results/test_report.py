import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from rich.cells import cell_len
from rich.console import Console
from synthetic_runs import BASELINE, Story, ended, searched

from population.records import Crashed, Entry, TimedOut
from population.state import Population, replay
from results.report import report
from results.tree_text import lineage_tree
from tests.population.histories import histories


def printed(population: Population, width: int = 80, folder: Path | None = None) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report(population, folder))
    return console.export_text()


def test_a_report_tells_headline_tree_path_and_places() -> None:
    story = Story().begins("cedar", "moss")
    story.tries("moss", "raise DEPTH 4 -> 6", 2.7000, keep=True)
    story.tries("moss", "raise DEPTH 6 -> 8", Crashed("out of memory"))
    story.tries("moss", "lower DEPTH 6 -> 5", 2.7200)
    story.tries("moss", "raise HEADS 2 -> 4", 2.6000, keep=True)
    lines = [
        line.rstrip() for line in printed(ended(story).population, folder=Path("runs/dawn")).splitlines()
    ]
    assert lines == [
        "",
        "baseline 2.7344, best 2.6000 val_bpb (gain 0.1344)",
        "5 trials, 2 kept, 1 crashed, 1 m 23 s",
        "",
        "baseline  2.7344",
        "├── cedar  default, mutate",
        "└── moss  default, mutate",
        "    ├──    2  2.7000 -0.0344  raise DEPTH 4 -> 6  2 dropped (1 crashed)",
        "    └──    5  2.6000 -0.1000  best  raise HEADS 2 -> 4",
        "",
        "trial  lineage   score   change  the way to the best",
        "    1  cedar    2.7344           the baseline",
        "    2  moss     2.7000  -0.0344  raise DEPTH 4 -> 6",
        "    5  moss     2.6000  -0.1000  raise HEADS 2 -> 4",
        "",
        "best genome  runs/dawn/best/train.py",
        "its diff     runs/dawn/best/best.diff",
        "every trial  runs/dawn/results.tsv",
        "logs         runs/dawn/logs",
        "branches     git log --graph --oneline '--branches=lineages/dawn/*'",
    ]


def test_a_lineage_founded_on_anothers_commit_hangs_from_it() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "first", 2.7, keep=True)
    fork = story.population.lineages["cedar"].tip
    story.tries("cedar", "second", 2.6, keep=True)
    story.founds("moss", tip=fork).tries("moss", "aside", 2.5, keep=True)
    story.founds("fern", tip=fork)
    tree = printed(story.population).splitlines()[5:11]
    assert [line.rstrip() for line in tree] == [
        "└── cedar  default, mutate",
        "    ├──    2  2.7000 -0.0344  first",
        "    │   ├── moss  default, mutate",
        "    │   │   └──    4  2.5000 -0.2000  best  aside",
        "    │   └── fern  default, mutate",
        "    └──    3  2.6000 -0.1000  second",
    ]


def test_a_run_of_failures_says_why() -> None:
    story = Story().founds("cedar")
    story.tries("cedar", "the baseline", Crashed("no module named torch"), operator="baseline")
    story.tries("cedar", "an idea", TimedOut("training", 25.0))
    text = printed(story.population)
    assert "no val_bpb yet" in text and "2 trials, 0 kept, 1 crashed, 1 timed out" in text
    assert "trial 1 crashed: no module named torch" in text
    assert "trial 2 timed out: training was not over after 25 s" in text


@pytest.mark.parametrize("story", [Story(), Story().founds("cedar"), Story().begins("cedar")])
def test_a_run_that_has_hardly_begun_is_reported(story: Story) -> None:
    assert "dawn" in printed(story.population)


def test_a_run_without_a_journal_is_reported_by_the_name_of_its_folder() -> None:
    assert printed(Population()).strip() == "nothing has happened yet"
    assert printed(Population(), folder=Path("runs/dawn")).strip() == "run dawn: nothing has happened yet"


@pytest.mark.parametrize("trials", [16, 2000])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_report_fits_the_console_and_its_length_is_bounded(trials: int, width: int) -> None:
    lines = printed(searched(trials).population, width, Path("results/runs") / ("long" * 30)).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) < 150


def test_a_hundred_forks_upon_forks_are_counted_where_they_are_not_drawn() -> None:
    story = Story().begins("line0")
    for n in range(1, 100):
        story.tries(f"line{n - 1}", f"step {n}", 2.7 - n / 100, keep=True)
        story.founds(f"line{n}", tip=story.population.lineages[f"line{n - 1}"].tip)
    text = printed(story.population)
    assert "… 96 more lineages with 95 steps" in text and len(text.splitlines()) < 60


def drawn(population: Population) -> str:
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(lineage_tree(population))
    return console.export_text()


def counted(tree: str) -> int:
    """Trials in a tree of text but for the baseline: the steps drawn, and whatever is a number of trials."""
    numbers = re.findall(r"(\d+) (?:dropped|lost|under way|not judged|more steps|steps?\b)", tree)
    return len(re.findall(r"── +\d+  \d\.\d", tree)) + sum(map(int, numbers))


def beside_baseline(population: Population) -> int:
    trials = population.trials.values()
    return sum(t.candidate.operator != "baseline" or t.verdict != "advance" for t in trials)


@given(histories(max_events=80))
def test_a_tree_has_every_trial_once_and_every_lineage_once(entries: list[Entry]) -> None:
    population = replay(entries)
    tree = drawn(population)
    assert counted(tree) == beside_baseline(population)
    assert sorted(re.findall(r"── (l\d+)  brief", tree)) == sorted(population.lineages)


def test_candidates_that_all_start_from_the_baseline_are_one_branch() -> None:
    story = Story().begins("cedar")
    for score in (2.7, 2.75, 2.6, 2.8, 2.5):
        story.tries("cedar", "from scratch", score, keep=score < 2.71, parent=BASELINE)
    assert [line.rstrip() for line in drawn(story.population).splitlines()] == [
        "baseline  2.7344",
        "└── cedar  default, mutate  2 dropped",
        "    ├──    2  2.7000 -0.0344  from scratch",
        "    ├──    4  2.6000 -0.1000  from scratch",
        "    └──    6  2.5000 -0.1000  best  from scratch",
    ]


@pytest.mark.parametrize("trials", [16, 2000])
def test_what_a_long_run_leaves_out_of_the_tree_is_counted(trials: int) -> None:
    population = searched(trials).population
    assert counted(drawn(population)) == beside_baseline(population) == trials - 1


def test_hostile_ideas_stay_inside_the_console_and_carry_no_escapes() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "[bold]\x1b[2J漢字" * 50 + "[/nothing]\n\u202e", 2.6, keep=True)
    story.tries("cedar", "🙂" * 300, 2.5, keep=True)
    text = printed(story.population)
    assert "\x1b" not in text and "\u202e" not in text and "[bold]漢字" in text
    assert max(map(cell_len, text.splitlines())) <= 80
