import io
import re
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from synthetic_runs import BASELINE, Story, ended, searched

from population.records import Crashed, Declined, Operator, Pruned, Thought, TimedOut
from population.state import Population, replay
from results.report import report
from results.tree_text import commit_tree


def printed(population: Population, width: int = 80, folder: Path | None = None) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report(population, folder))
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def drawn(population: Population, width: int = 300) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(commit_tree(population))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_a_report_tells_headline_tree_lineages_path_and_places() -> None:
    story = Story().begins("cedar", "moss")
    story.tries("moss", "raise DEPTH 4 -> 6", 2.5000, keep=True)
    story.tries("moss", "raise DEPTH 6 -> 8", Crashed("out of memory"))
    story.tries("moss", "lower DEPTH 6 -> 5", 2.7200)
    story.tries("moss", "raise HEADS 2 -> 4", 2.3000, keep=True)
    text = printed(ended(story).population, folder=Path("runs/dawn"))
    assert re.sub(r"\d\.\d+", "#", text).splitlines() == [
        "",
        "baseline # ± #, best # ± # val_bpb (gain # ± #)",
        "5 trials in 1 m 23 s, 2 of 4 changes kept, 1 crashed",
        "GPU time: training 60%, exam 3%, start-up 6%, idle 31%",
        "4 requests, 440 tokens, $#",
        "± is 95%; sigma of a trial # (assumed: nothing was measured again)",
        "",
        "dawn  promise",
        "├──    1  #  cedar  the baseline",
        "├──    2  # -#  moss   raise DEPTH 4 -> 6  2 dropped",
        "└──    5  # -#  best  moss   raise HEADS 2 -> 4",
        "",
        "lineage  brief    proposer  tried  kept   change  tokens   cost",
        "cedar    default  mutate        0     0",
        "moss     default  mutate        4     2  -#     440  $#",
        "",
        "trial  lineage   score   change  odds  the way to the best",
        "    1  cedar    #                 the baseline",
        "    2  moss     #  -#  100%  raise DEPTH 4 -> 6",
        "    5  moss     #  -#  100%  raise HEADS 2 -> 4",
        "",
        "best genome  runs/dawn/best/train.py",
        "its diff     runs/dawn/best/best.diff",
        "every trial  runs/dawn/results.tsv",
        "logs         runs/dawn/logs",
        "branches     git log --graph --oneline '--branches=lineages/dawn/*'",
    ]


def test_a_win_that_all_lineages_took_up_is_drawn_once() -> None:
    story = Story().begins("cedar", "moss", "fern")
    story.tries("cedar", "first", 2.5, keep=True)
    story.adopts(story.population.lineages["cedar"].tip, "moss", "fern")
    story.tries("moss", "second", 2.3, keep=True)
    story.adopts(story.population.lineages["moss"].tip, "cedar", "fern")
    assert [line[-6:] for line in drawn(story.population)] == ["romise", "seline", " first", "second"]


def test_a_line_that_left_another_hangs_from_the_commit_it_left() -> None:
    story = Story(policy="greedy").begins("cedar")
    story.tries("cedar", "first", 2.5, keep=True)
    story.founds("moss", tip=story.population.lineages["cedar"].tip)
    story.tries("cedar", "second", 2.4, keep=True)
    story.tries("moss", "aside", 2.2, keep=True)
    story.tries("cedar", "third", 2.3, keep=True)
    without_scores = [re.sub(r" [-+]?\d\.\d{4}", "", line) for line in drawn(story.population)[2:]]
    assert without_scores == [
        "├──    2   cedar  first",
        "│   └── cedar: 2 steps",
        "│       ├──    3   cedar  second",
        "│       └──    5   cedar  third",
        "└──    4   best  moss   aside",
    ]


def test_a_near_miss_that_was_looked_around_from_hangs_where_it_was_found() -> None:
    story = Story().begins("cedar", "moss")
    near = story.doubts("cedar", "a near miss", 2.73)
    story.adopts(near.commit, "moss").tries("moss", "no luck there", 2.8)
    story.tries("cedar", "first", 2.5, keep=True)
    assert [line.split(" ", 4)[0] for line in drawn(story.population)[1:]] == ["├──", "│", "└──"]
    assert drawn(story.population)[2].endswith("cedar  a near miss  1 dropped")


def test_what_is_unproven_or_measured_again_is_counted_apart_from_what_was_dropped() -> None:
    story = Story().begins("cedar")
    near = story.doubts("cedar", "a near miss", 2.73)
    story.measures(near, 2.74, "discard")
    story.measures(story.population.candidates[1], 2.73, "confirm")
    story.tries("cedar", "a mistake", 2.9)
    assert drawn(story.population)[1].endswith("the baseline  1 dropped, 1 unproven, 2 again")
    assert "(from 2 repeats)" in printed(story.population)


@pytest.mark.parametrize("operator", ["merge", "venture"])
def test_what_was_put_together_names_the_trials_it_came_from(operator: Operator) -> None:
    story = Story().begins("cedar")
    one, other = story.doubts("cedar", "lift DEPTH", 2.72), story.doubts("cedar", "lift HEADS", 2.72)
    story.measures(story.combines("cedar", one, other, operator=operator), 2.4, "advance")
    text = "cedar  2+3 together: lift DEPTH; lift HEADS"
    assert drawn(story.population)[-1].endswith(text)
    assert "2+3 together: lift DEPTH; lift HEADS" in printed(story.population).partition("the way to")[2]


def test_lineages_that_began_late_or_ended_early_say_so() -> None:
    story = Story().begins("cedar", "moss")
    story.tries("cedar", "first", 2.5, keep=True)
    story.tries("moss", "nothing", 2.9)
    story.happens(Pruned("moss", "gains less than cedar"))
    story.founds("fern", brief="bold", tip=story.population.lineages["cedar"].tip)
    lines = printed(story.population).splitlines()
    assert "moss was pruned after trial 3: gains less than cedar" in lines
    assert "fern was founded on trial 2" in lines


@pytest.mark.parametrize("policy", ["promise", "greedy"])
def test_the_headline_gain_is_what_the_steps_of_the_path_add_up_to(policy: str) -> None:
    story = Story(policy=policy).begins("cedar")
    for step, score in enumerate((2.6, 2.5, 2.55, 2.4, 2.3)):
        story.tries("cedar", f"step {step}", score, keep=score != 2.55)
    text = printed(story.population)
    steps = re.findall(r"([-+]\d\.\d{4}) +\d+%", text)
    gained = re.search(r"gain (\d\.\d+)", text)
    assert gained and len(steps) == 4 and abs(sum(map(float, steps)) + float(gained[1])) < 0.001


def test_a_run_of_failures_says_why() -> None:
    story = Story().founds("cedar")
    story.tries("cedar", "the baseline", Crashed("no module named torch"), operator="baseline")
    story.tries("cedar", "an idea", TimedOut("training", 25.0))
    text = printed(story.population)
    assert "no val_bpb yet" in text and "0 of 1 change kept, 1 crashed, 1 timed out" in text
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


def test_branches_upon_branches_are_counted_where_they_are_not_drawn() -> None:
    story = Story(policy="greedy").begins(*(f"line{n}" for n in range(100)))
    for n in range(100):
        story.tries(f"line{n}", f"step {n}", 2.7 - n / 1000, keep=True)
        story.tries(f"line{n}", f"step {n}", 2.9)
    lines = drawn(story.population)
    assert re.search(r"… (\d+) more steps aside  \1 dropped$", lines[-1]) and len(lines) < 50
    assert counted(lines) == 201


def briefed(*pairs: tuple[str, str], foreseen: float | None = None, turns: int = 4) -> Population:
    """A run of lineages with these briefs and proposers, all as good; half of what they try wins."""
    story = Story()
    for brief, proposer in pairs:
        story.founds(brief + proposer, brief=brief, proposer=proposer)
    first, score = "".join(pairs[0]), 2.7
    story.tries(first, "the baseline", score, keep=True, operator="baseline")
    for turn in range(turns):
        for brief, proposer in pairs:
            idea = story.proposes(brief + proposer, "an idea", proposer=proposer, expected=foreseen)
            score -= 0.1 * (turn % 2)
            story.measures(idea, score + 0.3 * (1 - turn % 2), "advance" if turn % 2 else "discard")
            if turn % 2:
                story.adopts(idea.commit, *(one for one in story.population.lineages if one != idea.lineage))
    return story.population


def test_briefs_are_ranked_where_two_were_tried_and_proposers_where_two_were() -> None:
    text = printed(briefed(("bold", "llm/one"), ("calm", "llm/one")))
    assert re.search(r"^brief +trials +kept +gain +95% +tokens +cost +per gain$", text, re.MULTILINE)
    assert re.search(r"^bold +4 +2 +\d+\.\d+ +\d+\.\d+ to \d+\.\d+ +110 +\$0.01 +\$\S+$", text, re.MULTILINE)
    assert "the data cannot tell them apart: " in text and "gains in 0.001 val_bpb" in text
    assert not re.search(r"^(proposer|operator) +trials", text, re.MULTILINE)
    assert "trials  kept  gain" not in printed(briefed(("bold", "llm/one")))


def test_a_brief_and_its_only_proposer_are_said_to_be_one() -> None:
    alone = (("bold", "llm/one"), ("calm", "llm/two"))
    warning = "each brief had one proposer: which of the two it is that gains cannot be told"
    assert warning in printed(briefed(*alone))
    assert warning not in printed(briefed(*alone, ("bold", "llm/two"), ("calm", "llm/one")))


def test_a_report_with_every_ranking_in_it_is_still_short_and_narrow() -> None:
    pairs = [(f"brief{n}" * 9, f"llm/provider/model{n}" * 5) for n in range(12)]
    lines = printed(briefed(*pairs)).splitlines()
    assert max(map(cell_len, lines)) <= 80 and len(lines) < 110
    assert sum(line.startswith("+ 6 more") for line in lines) == 2


def test_what_minds_foresaw_is_told_beside_what_came_of_it_once_enough_did() -> None:
    pair = (("bold", "llm/one"), ("calm", "llm/one"))
    told = r"minds foresaw a median of -0\.0050 and got [-+]\d\.\d+ \(8 candidates\)"
    assert re.search(told, printed(briefed(*pair, foreseen=-0.005)))
    assert "minds foresaw" not in printed(briefed(*pair, foreseen=-0.005, turns=3))
    assert "minds foresaw" not in printed(briefed(*pair))


def test_tokens_and_dollars_are_told_only_where_there_were_any() -> None:
    story, free = Story().founds("cedar"), Thought()
    story.measures(story.proposes("cedar", "start", "baseline", thought=free), 2.7, "advance")
    story.measures(story.proposes("cedar", "an idea", thought=free), 2.9, "discard")
    assert not re.search(r"token|cost|\$", printed(story.population))
    story.proposes("cedar", "another", thought=Thought(900_000, 334_000))
    assert "2 requests, 1.2M tokens\n" in printed(story.population)
    story.happens(Declined("cedar", BASELINE, "nothing new", Thought(cost_usd=3.4)))
    assert "3 requests, 1.2M tokens, $3.40\n" in printed(story.population)


def counted(tree: list[str]) -> int:
    """Trials in a tree of text: the steps drawn, and whatever is a number of trials."""
    told = r"(\d+) (?:dropped|unproven|again|lost|under way|not judged|more steps?)\b"
    return sum(
        len(re.findall(r"── +\d+  -?\d", line)) + sum(map(int, re.findall(told, line.replace("again:", ""))))
        for line in tree
    )


@given(st.integers(1, 150), st.integers(0, 10**6))
def test_a_tree_has_every_trial_once(trials: int, seed: int) -> None:
    population = searched(trials, seed=seed).population
    assert counted(drawn(population)) == trials


@given(st.integers(2, 60), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_a_run_is_reported_at_any_point_of_it(trials: int, seed: int, dice: Random) -> None:
    entries = searched(trials, seed=seed).entries
    text = printed(replay(entries[: dice.randint(1, len(entries))]))
    assert "dawn" in text and max(map(cell_len, text.splitlines())) <= 80


def test_candidates_that_all_start_from_the_baseline_are_one_line() -> None:
    story = Story(policy="best-of-n").begins("cedar")
    for score in (2.7, 2.75, 2.6, 2.8, 2.5):
        story.tries("cedar", "from scratch", score, keep=score < 2.71, parents=(BASELINE,))
    lines = drawn(story.population)
    assert [line[:8] for line in lines[1:]] == ["├──    1", "├──    2", "├──    4", "└──    6"]


@pytest.mark.parametrize("trials", [16, 2000])
def test_what_a_long_run_leaves_out_of_the_tree_is_counted(trials: int) -> None:
    assert counted(drawn(searched(trials).population)) == trials


def test_a_journal_of_five_thousand_trials_is_reported_in_a_moment() -> None:
    entries = searched(5000).entries
    begun = time.process_time()
    assert "5000 trials" in printed(replay(entries))
    assert time.process_time() - begun < 5


def test_hostile_ideas_stay_inside_the_console_and_carry_no_escapes() -> None:
    story = Story().begins("cedar")
    story.tries("cedar", "[bold]\x1b[2J漢字" * 50 + "[/nothing]\n\u202e", 2.5, keep=True)
    story.tries("cedar", "🙂" * 300, 2.3, keep=True)
    text = printed(story.population)
    assert "\x1b" not in text and "\u202e" not in text and "[bold]漢字" in text
    assert max(map(cell_len, text.splitlines())) <= 80
