import io
import subprocess
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import BASELINE, Story, lost, searched

from population.evidence import best
from population.records import Crashed, Refused, Stopped, TimedOut
from population.state import Population
from results.changes import unified
from results.exports import results_tsv, write_exports
from results.frames import trials


def read_tsv(text: str) -> pd.DataFrame:
    """As autoresearch's notebook reads it: plain, then numbers coerced and the status in capitals."""
    frame = pd.read_csv(io.StringIO(text), sep="\t")
    for column in ("val_bpb", "memory_gb"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    frame["status"] = frame["status"].str.strip().str.upper()
    return frame


def genome_of(commit: str) -> str:
    return f"DEPTH = {int(commit, 16) + 1}\nprint(DEPTH)\n"


def test_parquet_is_read_back_as_it_was_by_polars_and_pandas(tmp_path: Path) -> None:
    population = searched(30).population
    write_exports(tmp_path, population, genome_of)
    assert pl.read_parquet(tmp_path / "experiments.parquet").equals(trials(population))
    frame = pd.read_parquet(tmp_path / "experiments.parquet")
    assert len(frame) == 30 and frame["started_at"].dt.tz is not None


def test_results_tsv_serves_the_notebook_of_autoresearch(tmp_path: Path) -> None:
    population = searched(40).population
    write_exports(tmp_path, population, genome_of)
    frame = read_tsv((tmp_path / "results.tsv").read_text())
    assert list(frame.columns) == ["commit", "val_bpb", "memory_gb", "status", "description"]
    counts, kept = frame["status"].value_counts(), frame[frame["status"] == "KEEP"]
    assert counts.sum() == 40 and counts["KEEP"] == sum(
        t.verdict == "advance" for t in population.trials.values()
    )
    valid = frame[frame["status"] != "CRASH"].reset_index(drop=True)
    assert valid.loc[0, "val_bpb"] == 2.7344
    found = best(population)
    assert found is not None and (kept["memory_gb"] == 0.8).all()
    idea = population.candidates[population.bases[found]].idea
    assert kept["description"].str.endswith(idea).any()


def test_a_trial_that_only_measures_again_is_no_keep_and_says_so() -> None:
    story = Story().begins("cedar")
    candidate = story.doubts("cedar", "lift DEPTH", 2.73)
    story.measures(candidate, 2.72, "advance")
    story.measures(candidate, 2.71, "confirm")
    frame = read_tsv(results_tsv(story.population))
    assert frame["status"].to_list() == ["KEEP", "DISCARD", "KEEP", "DISCARD"]
    assert frame["description"].to_list()[1:] == ["cedar: lift DEPTH"] + 2 * ["cedar: again: lift DEPTH"]


def test_only_a_failure_has_zeros() -> None:
    story = Story().begins("cedar")
    for outcome in (Stopped(0.5, "hopeless"), Crashed("NaN"), TimedOut("exam", 9.0), Refused("a seed")):
        story.tries("cedar", "an idea", outcome)
    frame = read_tsv(results_tsv(story.population))
    assert frame["status"].to_list() == ["KEEP", "DISCARD", "CRASH", "CRASH", "CRASH"]
    assert (frame["val_bpb"] == 0).to_list() == [False, False, True, True, True]
    assert (frame["memory_gb"] == 0).to_list() == [False, False, True, True, True]
    assert pd.isna(frame["val_bpb"][1])


def test_a_lost_or_unfinished_trial_is_no_row() -> None:
    story = Story().begins("cedar")
    story.runs(lost(story, "cedar", "an idea"))
    assert len(read_tsv(results_tsv(story.population))) == 1


@given(
    st.text(st.characters(exclude_categories=())) | st.sampled_from(["", "NA", "None", '"', 'a\t"b\nc', "#x"])
)
def test_any_idea_makes_one_row_of_five_columns(idea: str) -> None:
    story = Story().begins("cedar")
    story.tries("cedar", idea, 2.7, keep=True)
    frame = read_tsv(results_tsv(story.population))
    assert frame.shape == (2, 5)
    assert frame["description"].str.startswith("cedar:").all()


def test_the_best_genome_and_its_diff_are_written_and_the_diff_applies(tmp_path: Path) -> None:
    population = searched(30).population
    write_exports(tmp_path, population, genome_of)
    found = best(population)
    assert found is not None and found != BASELINE
    assert (tmp_path / "best/train.py").read_text() == genome_of(found)
    repository = tmp_path / "elsewhere"
    repository.mkdir()
    (repository / "train.py").write_text(genome_of(BASELINE))
    subprocess.run(["git", "apply", tmp_path / "best/best.diff"], cwd=repository, check=True)
    assert (repository / "train.py").read_text() == genome_of(found)


def test_a_diff_applies_to_a_genome_without_a_last_newline_and_with_form_feeds(tmp_path: Path) -> None:
    before, after = "A = 1\n\x0cB = 2\nC = 3", "A = 1\n\x0cB = 5\nC = 3\r\n"
    (tmp_path / "train.py").write_text(before, newline="")
    (tmp_path / "a.diff").write_text(unified(before, after), newline="")
    subprocess.run(["git", "apply", "a.diff"], cwd=tmp_path, check=True)
    assert (tmp_path / "train.py").read_bytes().decode() == after


def test_the_best_is_fetched_again_only_when_it_has_changed(tmp_path: Path) -> None:
    story, asked = searched(10), []

    def counting(commit: str) -> str:
        asked.append(commit)
        return genome_of(commit)

    write_exports(tmp_path, story.population, counting)
    before = len(asked)
    for _ in range(2):
        write_exports(tmp_path, story.population, counting)
    assert len(asked) == before
    story.tries(story.population.living[0].name, "a leap", 1.0, keep=True)
    write_exports(tmp_path, story.population, counting)
    assert asked[-1] == f"{len(story.population.candidates):040x}"
    assert (tmp_path / "best/train.py").read_text() == genome_of(f"{len(story.population.candidates):040x}")


@pytest.mark.parametrize("name", ["train.py", "best.diff"])
def test_a_file_of_the_best_that_was_deleted_comes_back(name: str, tmp_path: Path) -> None:
    population = searched(10).population
    write_exports(tmp_path, population, genome_of)
    before = (tmp_path / "best" / name).read_bytes()
    (tmp_path / "best" / name).unlink()
    write_exports(tmp_path, population, genome_of)
    assert (tmp_path / "best" / name).read_bytes() == before


def test_exports_of_a_run_without_trials_are_empty_tables_and_leave_nothing_behind(tmp_path: Path) -> None:
    for population in (Population(), Story().founds("cedar").population):
        write_exports(tmp_path, population, genome_of)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["experiments.parquet", "results.tsv"]
        assert len(pd.read_csv(tmp_path / "results.tsv", sep="\t")) == 0
