import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser
from rich.console import Console
from synthetic_runs import Story, lost, searched

from population.records import Crashed, Finished, Knob, Started, Stopped
from results.compare import compare, comparison
from results.comparing.code import changed_code
from results.comparing.groves import groves
from results.comparing.rows import read_rows
from results.comparing.tables import grids
from results.comparing.targets import at_hours, at_trial, reached, targets
from results.comparing.told import told
from trainer.errors import BadInput

PLAIN = """\
commit\tval_bpb\tmemory_gb\tstatus\tdescription
a1b2c3d\t2.734400\t44.0\tkeep\tbaseline
b2c3d4e\t2.710000\t44.2\tkeep\traise MATRIX_LR 0.04 -> 0.06
c3d4e5f\t2.740000\t44.0\tdiscard\tlower DEPTH 8 -> 6
d4e5f6g\t0.000000\t0.0\tcrash\tdouble the width (OOM)
e5f6g7h\t2.700000\t44.1\tkeep\tMATRIX_LR 0.06 to 0.07, say "a\tb"
"""
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e [bold]</script>"


def nothing(folder: Path, commit: str) -> None:
    """No genome is there."""


def begun(name: str, **others: Any) -> Story:
    """A run that a results.tsv can stand beside, but for what is said otherwise."""
    story = Story(run=name)
    first = story.entries[0].event
    assert isinstance(first, Started)
    wanted = {"budget_s": 300.0, "profile": "h100", "device": "cuda"} | others
    again = Story(run=name)
    again.population.started = msgspec.structs.replace(first, **wanted)
    again.entries[0] = msgspec.structs.replace(again.entries[0], event=again.population.started)
    return again


def tuned(name: str, *values: float, genome_hash: str = "start", **others: Any) -> Story:
    """A run that found better values of MATRIX_LR, one after another; it began with 0.04."""
    story = begun(name, **others).founds("cedar", "moss")
    first = story.proposes("cedar", "the baseline", "baseline", genome_hash=genome_hash)
    story.measures(first, 2.7344, "advance")
    score = 2.7344
    for value in values:
        score -= 0.01
        candidate = story.proposes("moss", f"MATRIX_LR {value}", knobs={"MATRIX_LR": value, "DEPTH": 4})
        story.measures(candidate, score, "advance")
        story.adopts(candidate.commit, "cedar")
    return story


def saved(folder: Path, *stories: Story) -> list[Path]:
    """Folders of runs with the journals of some stories."""
    paths = [folder / f"{number}" / story.population.run.run for number, story in enumerate(stories)]
    for path, story in zip(paths, stories, strict=True):
        path.mkdir(parents=True)
        lines = (msgspec.json.encode(entry) + b"\n" for entry in story.entries)
        (path / "journal.jsonl").write_bytes(b"".join(lines))
    return paths


def plain(folder: Path, text: str = PLAIN, name: str = "plain") -> Path:
    path = folder / f"{name}.tsv"
    path.write_text(text)
    return path


def printed(
    sources: Sequence[Path], width: int = 100, genome_of: Callable[[Path, str], str | None] = nothing
) -> str:
    """What is said of some runs; `compared` makes their page, too."""
    screen = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    screen.print(told(comparison(sources, genome_of)))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def compared(sources: Sequence[Path], folder: Path) -> str:
    screen = Console(file=io.StringIO(), width=100, markup=False, highlight=False, emoji=False)
    assert compare(sources, screen, folder, nothing) == folder / "compare.html"
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_three_runs_and_an_autoresearch_results_tsv_are_laid_side_by_side(tmp_path: Path) -> None:
    stories = [tuned("dawn", 0.06, 0.08), tuned("dusk", 0.05), tuned("noon", 0.02)]
    text = printed([*saved(tmp_path, *stories), plain(tmp_path)])
    assert "4 runs: val_bpb after 300 s, profile h100 on cuda" in text and "shown apart" not in text
    assert re.search(r"plain +2\.7344 +2\.7000 +0\.0344 +–", text)
    assert "by a model of luck where the best was not measured again" in text
    assert "plain: single scores without intervals; by assumption 5 minutes a trial" in text
    assert re.search(r"MATRIX_LR up +dawn 0.04 → 0.08, dusk 0.04 → 0.05, plain 0.04 → 0.07", text)
    assert re.search(r"MATRIX_LR down +noon 0.04 → 0.02", text)
    for tree in ("dawn  promise", "dusk  promise", "noon  promise", "plain  results.tsv"):
        assert tree in text


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"exam_hash": "0" * 16}, "its exam is another"),
        ({"profile": "gpu"}, "its profile is gpu, not h100"),
        ({"device": "cpu"}, "its device is cpu, not cuda"),
        ({"budget_s": 20.0}, "its trials train for 20 s, not 300 s"),
        ({"metric": "loss"}, "its metric is loss, not val_bpb"),
    ],
)
def test_runs_that_cannot_be_compared_are_shown_apart_with_the_reason(
    other: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    paths = saved(tmp_path, tuned("dawn", 0.06), tuned("dusk", 0.05), tuned("far", 0.05, **other))
    text = " ".join(printed(paths).split())
    assert f"shown apart, not comparable with dawn: {reason}" in text
    assert "2 runs: val_bpb after 300 s" in text and "1 run: " in text
    assert "far 0.04" not in text, "what it found is not laid beside the others"


def test_a_results_tsv_of_another_machine_is_told_by_its_baseline(tmp_path: Path) -> None:
    slow = plain(tmp_path, PLAIN.replace("2.734400", "3.1"))
    text = " ".join(printed([*saved(tmp_path, tuned("dawn", 0.06)), slow]).split())
    assert "its first score is 3.1000, not about 2.7344: another machine or exam" in text
    near = saved(tmp_path / "cpu", tuned("cpu", 0.06, profile="cpu"))
    text = " ".join(printed([*near, plain(tmp_path)]).split())
    assert "autoresearch measures as the profile h100 does, not as cpu" in text
    briefly = saved(tmp_path / "brief", tuned("brief", 0.06, budget_s=10.0))
    text = " ".join(printed([*briefly, plain(tmp_path)]).split())
    assert "its trials train for 300 s, by assumption, not 10 s" in text


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a1b2c3d\t2.7", "line 4: found 2 of 5 columns, without status"),
        ("a1b2c3d\t2.7\t44\tmaybe\tidea", "line 4: found status 'maybe', not keep, discard or crash"),
        ("a1b2c3d\tgood\t44\tkeep\tidea", "line 4: found val_bpb 'good' of a trial with status keep"),
        ("a1b2c3d\tnan\t44\tdiscard\tidea", "line 4: found val_bpb 'nan' of a trial with status discard"),
        ("a1b2c3d\t0.000000\t44\tkeep\tidea", "line 4: found val_bpb '0.000000' of a trial with status keep"),
        ("a1b2c3d\t-37.8\t44\tkeep\tidea", "line 4: found val_bpb '-37.8' of a trial with status keep"),
    ],
)
def test_a_broken_line_of_a_results_tsv_is_named(line: str, found: str, tmp_path: Path) -> None:
    lines = PLAIN.splitlines()
    path = plain(tmp_path, "\n".join([*lines[:2], "", line, *lines[2:]]))
    with pytest.raises(BadInput, match=re.escape(found)):
        read_rows(path)


def test_a_file_without_the_columns_or_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"line 1: .* val_bpb and status among them"):
        read_rows(plain(tmp_path, "<html>not found</html>\n"))
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8"):
        read_rows(tmp_path / "binary.tsv")


def test_columns_are_found_by_name_and_what_is_not_needed_may_be_missing(tmp_path: Path) -> None:
    rows = read_rows(plain(tmp_path, "\ufeffexp\tstatus\tval_bpb\r\n1\tKEEP\t0.998\r\n2\tdiscard\t\r\n\r\n"))
    assert [(row.score, row.status) for row in rows] == [(0.998, "keep"), (None, "discard")]


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    with_header = f"val_bpb\tstatus\tdescription\n{text}"
    path = Path("/dev/shm/lineages-compare-test.tsv")
    path.write_text(with_header, newline="")
    try:
        assert len(read_rows(path)) <= text.count("\n") + 1
    except BadInput as error:
        assert re.search(r"line \d+: ", str(error))
    finally:
        path.unlink()


def test_the_best_so_far_is_that_of_trials_that_were_over(tmp_path: Path) -> None:
    (group,) = (laid.group for laid in comparison([plain(tmp_path)], nothing))
    side = group.sides[0]
    assert [at_trial(side, n) for n in range(7)] == [None, 2.7344, 2.71, 2.71, 2.71, 2.7, None]
    assert [at_hours(side, m / 60) for m in (4, 5, 10, 19, 20, 21)] == [None, 2.7344, 2.71, 2.71, 2.7, None]
    assert side.gpu_s == 4 * 300, "how long a crash took nobody knows"


def test_targets_lie_between_the_baseline_and_the_best_and_tell_when_they_were_reached(
    tmp_path: Path,
) -> None:
    paths = [*saved(tmp_path, tuned("dawn", 0.06, 0.08)), plain(tmp_path)]
    (group,) = (laid.group for laid in comparison(paths, nothing))
    goals = targets(group.sides)
    assert [goal.score for goal in goals] == sorted((goal.score for goal in goals), reverse=True)
    last = goals[-1]
    assert last.what == "plain's" and last.score == 2.7
    dawn, other = group.sides
    found = reached(other, last)
    assert found is not None and found.trials == 5 and reached(dawn, last) is None


def test_time_on_the_gpu_is_startup_training_and_exam_of_every_trial(tmp_path: Path) -> None:
    story = tuned("dawn", 0.06)
    story.tries("moss", "an idea", Crashed("out of memory"))
    lost(story, "moss", "cut off")
    side = comparison(saved(tmp_path, story), nothing)[0].group.sides[0]
    used = [entry.event.usage for entry in story.entries if isinstance(entry.event, Finished)]
    assert side.gpu_s == sum(one.startup_s + one.training_s + one.exam_s for one in used) == 3 * 11.5
    assert (side.trials, side.failed, side.kept) == (3, 1, 1)


def test_a_trial_that_was_stopped_has_not_failed(tmp_path: Path) -> None:
    raced = tuned("dawn", 0.06)
    raced.tries("moss", "an idea", Stopped(0.4, "hopeless"))
    raced.tries("moss", "another", Crashed("out of memory"))
    side = comparison(saved(tmp_path, raced), nothing)[0].group.sides[0]
    assert (side.trials, side.stopped, side.failed) == (4, 1, 1)
    took = grids([side])[1]
    row = dict(zip(took.heads, took.rows[0], strict=True))
    assert (row["stopped"], row["failed"]) == ("1", "1")


def test_code_that_two_bests_share_is_found_alike_and_the_same(tmp_path: Path) -> None:
    methods = (f"    def {name}(self):\n        return {n}\n" for name, n in (("forward", 1), ("loss", 2)))
    start = f"DEPTH = 4\nclass GPT:\n{''.join(methods)}"
    texts = {
        "dawn": start.replace("return 1", "return 3  # better"),
        "dusk": start.replace("return 1", "return (3)").replace("return 2", "return 4"),
    }

    def genome_of(folder: Path, commit: str) -> str:
        return start if set(commit) == {"0"} else texts[folder.name]

    paths = saved(tmp_path, tuned("dawn", 0.04), tuned("dusk", 0.04))
    text = printed(paths, genome_of=genome_of)
    assert re.search(r"GPT.forward code +dawn, dusk \(the same code\)", text)
    assert re.search(r"GPT.loss code +dusk\b", text)


def test_layout_and_comments_are_no_change_of_code_and_constants_are_left_aside() -> None:
    before = '"""A model."""\nLR = 0.1\nBETAS = (0.8, 0.9)\ndef f(x):\n    return x\n'
    after = "LR = 0.2  # more\nBETAS = (0.8, 0.95)\n\ndef f(x):  # as it was\n    return (x)\nprint(f(1))\n"
    assert list(changed_code(before, after, {"LR"})) == ["BETAS", "call print"]
    assert changed_code(before, "def f(:\n", set()) == {}


def test_what_a_run_tried_in_vain_is_told_beside_what_another_found(tmp_path: Path) -> None:
    dusk = tuned("dusk", 0.05)
    candidate = dusk.proposes("moss", "deeper", knobs={"MATRIX_LR": 0.05, "DEPTH": 6})
    dusk.measures(candidate, 2.9, "discard")
    dawn = tuned("dawn", 0.05)
    deeper = dawn.proposes("moss", "deeper", knobs={"MATRIX_LR": 0.05, "DEPTH": 8})
    dawn.measures(deeper, 2.6, "advance")
    text = printed(saved(tmp_path, dawn, dusk))
    assert re.search(r"DEPTH up +dawn 4 → 8; also tried by dusk", text)
    assert "what moved together with something that helped is among it" in text


def test_whose_ideas_gained_is_told_across_runs(tmp_path: Path) -> None:
    stories = []
    for run in ("dawn", "dusk"):
        story = begun(run)
        for brief in ("bold", "calm"):
            story.founds(brief, brief=brief, proposer=f"llm/{brief}")
        story.tries("bold", "the baseline", 2.7, keep=True, operator="baseline")
        for turn in range(8):
            for brief, gain in (("bold", 0.1), ("calm", -0.1)):
                idea = story.proposes(brief, f"idea {turn}", proposer=f"llm/{brief}")
                tip = story.population.score(idea.base) or 0.0
                story.measures(idea, tip - gain, "advance" if gain > 0 else "discard")
                if gain > 0:
                    story.adopts(idea.commit, "calm")
        stories.append(story)
    text = printed(saved(tmp_path, *stories))
    assert re.search(r"brief +runs +trials", text) and re.search(r"bold +2 +16 +16", text)
    assert re.search(r"model +runs +trials", text)
    assert "bold gains more than calm: " in text and "beside what all of the run gained then" in text


def test_all_runs_of_a_folder_are_compared_but_for_damaged_ones(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for story in (tuned("dawn", 0.06), tuned("dusk", 0.05), tuned("gone", 0.05)):
        (path,) = saved(tmp_path / story.population.run.run, story)
        (runs / path.name).parent.mkdir(exist_ok=True)
        path.rename(runs / path.name)
    (runs / "gone" / "journal.jsonl").write_text("not a journal\n")
    lines = (runs / "dusk" / "journal.jsonl").read_text().splitlines(keepends=True)
    odd = lines[-2].replace(f'"number":{len(lines) - 1},', f'"number":{len(lines) + 1},')  # judged twice
    (runs / "odd").mkdir()
    (runs / "odd" / "journal.jsonl").write_text("".join([*lines, odd]))
    text = compared([runs], tmp_path)
    assert re.search(r"left out, since their journals are damaged: (gone, odd|odd, gone)\n", text)
    assert "2 runs: " in text
    with pytest.raises(BadInput, match="line 1"):
        compared([runs / "gone"], tmp_path)


def test_where_there_is_nothing_to_compare_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"neither a run nor a results\.tsv"):
        compared([tmp_path / "nowhere"], tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "journal.jsonl").touch()
    with pytest.raises(BadInput, match="none of these runs has begun"):
        compared([tmp_path / "empty"], tmp_path)


@pytest.mark.parametrize("trials", [0, 1, 2, 30])
def test_runs_of_any_length_are_laid_beside_each_other(trials: int, tmp_path: Path) -> None:
    stories = [begun("bare").founds("cedar"), searched(max(trials, 1)), searched(max(trials, 1), seed=1)]
    short = plain(tmp_path, "\n".join(PLAIN.splitlines()[: trials + 1]) + "\n")
    text = printed([*saved(tmp_path, *stories), short], width=60)
    assert "bare" in text and "dawn" in text and "dawn (2)" in text
    assert all(len(line) <= 60 for line in text.splitlines())


def test_failures_alone_are_laid_beside_successes(tmp_path: Path) -> None:
    story = begun("failed").founds("cedar")
    story.tries("cedar", "the baseline", Crashed("NaN"), operator="baseline")
    text = printed([*saved(tmp_path, story, tuned("dawn", 0.06)), plain(tmp_path)])
    assert re.search(r"failed +– +– +– +–", text)


def test_who_gained_more_is_told_with_its_odds_and_bests_are_compared_where_starts_differ(
    tmp_path: Path,
) -> None:
    better, worse = tuned("dawn", 0.06, 0.07, 0.08, 0.09), tuned("dusk", 0.05)
    text = printed(saved(tmp_path, worse, better))
    assert "dawn gained more than dusk: over 99% likely; one run of each kind does not say" in text
    other = tuned("noon", 0.06, 0.07, 0.08, genome_hash="another")
    text = " ".join(printed(saved(tmp_path / "other", other, worse)).split())
    assert "noon came to a better score than dusk: " in text and "began with different genomes" in text


def test_trees_have_one_scale_of_scores_and_say_what_is_under_the_pointer(tmp_path: Path) -> None:
    (laid,) = comparison(saved(tmp_path, searched(40), searched(60, seed=2)), nothing)
    trees = groves(laid.group.sides)
    drawn = [layer["encoding"] for tree in trees for layer in tree.spec["layer"] if "encoding" in layer]
    scales = [encoding["y"]["scale"]["domain"] for encoding in drawn if "scale" in encoding.get("y", {})]
    assert len(trees) == 2 and len(set(map(tuple, scales))) == 1 and len(scales) > 6
    hints = [encoding["tooltip"] for encoding in drawn if "tooltip" in encoding]
    assert len(hints) == 2 and {"field": "idea", "type": "nominal"} in hints[0]


def test_trials_that_failed_lie_at_one_height_in_all_trees(tmp_path: Path) -> None:
    near, far = tuned("near", 0.06), tuned("far", *(0.06,) * 9)
    for story in (near, far):
        story.tries("moss", "too much", Crashed("out of memory"))
    (laid,) = comparison(saved(tmp_path, near, far), nothing)
    rows = [tree.rows for tree in groves(laid.group.sides)]
    heights = {mark["y"] for each in rows for mark in each["marks"] if mark["status"] == "crashed"}
    assert len(rows) == 2 and len(heights) == 1 and rows[0]["rails"] == rows[1]["rails"]


@pytest.mark.parametrize("width", [80, 140])
def test_numbers_are_whole_at_usual_widths(width: int, tmp_path: Path) -> None:
    stories = [tuned(name * 10, 0.06, 0.07) for name in ("dawn", "dusk", "noon")]
    text = printed([*saved(tmp_path, *stories), plain(tmp_path)], width)
    tables = text[: text.index("found by")].splitlines()
    assert not [line for line in tables if re.search(r"\d…", line)]
    assert max(map(len, text.splitlines())) <= width


def hostile(folder: Path) -> list[Path]:
    story = begun(HOSTILE).founds("cedar", brief=HOSTILE, proposer=f"llm/{HOSTILE}")
    story.tries("cedar", "the baseline", 2.7344, keep=True, operator="baseline")
    knobs: dict[str, Knob] = {HOSTILE: 0.5, "DEPTH": 5}
    idea = story.proposes("cedar", HOSTILE, proposer=f"llm/{HOSTILE}", knobs=knobs)
    story.measures(idea, 2.6, "advance", HOSTILE)
    runs = saved(folder / "hostile", tuned("dawn", 0.06))
    evil = runs[0].with_name("evil")
    evil.mkdir()
    lines = (msgspec.json.encode(entry) + b"\n" for entry in story.entries)
    (evil / "journal.jsonl").write_bytes(b"".join(lines))
    lines_of_tsv = PLAIN.replace("baseline", HOSTILE)
    return [*runs, evil, plain(folder, lines_of_tsv, name="<b>plain")]


def test_hostile_text_is_harmless_in_a_terminal_and_on_the_page(tmp_path: Path) -> None:
    text = compared(hostile(tmp_path), tmp_path)
    assert "\x1b" not in text and "\u202e" not in text
    page = (tmp_path / "compare.html").read_text()
    ours = page[: page.index('<script type="application/json"')]
    assert "<script" not in ours and "<b>plain" not in ours and "&lt;script&gt;" in ours
    data = page[page.index('id="data">') :]
    assert "<" not in data[len('id="data">') : data.index("</script>")]


def test_the_page_draws_all_its_charts_in_a_browser_without_complaint_or_network(
    tmp_path: Path, chromium: Browser
) -> None:
    stories = [searched(60, seed=1), tuned("dusk", 0.05), tuned("far", 0.05, profile="cpu")]
    slow = [plain(tmp_path, PLAIN.replace("2.73", "3.1"), name) for name in ("slow", "slower")]
    compared([*saved(tmp_path, *stories), *hostile(tmp_path), *slow], tmp_path)
    page_url = (tmp_path / "compare.html").as_uri()
    heard: list[str] = []
    asked: list[str] = []
    with chromium.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark") as page:
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_url)
        page.wait_for_selector("html[data-drawn=dark]")
        charts = page.locator(".chart")
        assert charts.count() == page.locator(".chart svg").count() > 6
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert heard == [], "\n".join(heard)
    assert asked == [page_url]
