"""What is read by other programs than ours: pandas as in autoresearch's notebook, parquet's readers, git."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from synthetic_runs import Story, searched

from population.genome import knobs
from population.records import Completed, Crashed, Outcome
from results.comparing.rows import read_rows
from results.exports import write_exports
from tests.population.searches import git, make_run, make_task, valley
from tests.population.searches import searched as run_on_git

# fmt: off
COLUMNS = {
    "trial", "lineage", "brief", "proposer", "operator", "idea", "commit", "parent", "parent2", "seed",
    "status", "verdict", "val_bpb", "training_s", "wall_s", "started_at", "peak_memory_mb", "steps",
    "trained_tokens", "prompt_tokens", "completion_tokens", "cost_usd", "complexity", "exam_hash", "device",
}
# fmt: on


def genome_of(commit: str) -> str:
    return f"DEPTH = {int(commit, 16) + 1}\n"


def analysed(path: Path) -> dict[str, Any]:
    """What autoresearch's notebook works out of its results.tsv, step by step, but for its plots."""
    frame = pd.read_csv(path, sep="\t")
    for column in ("val_bpb", "memory_gb"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    frame["status"] = frame["status"].str.strip().str.upper()
    counts = frame["status"].value_counts()
    decided = counts.get("KEEP", 0) + counts.get("DISCARD", 0)
    shown = frame[frame["status"] != "CRASH"].reset_index(drop=True)
    near = shown[shown["val_bpb"] <= shown.loc[0, "val_bpb"] + 0.0005]
    frontier = shown.loc[shown["status"] == "KEEP", "val_bpb"].cummin()
    kept = frame[frame["status"] == "KEEP"].copy()
    kept["delta"] = kept["val_bpb"].shift(1) - kept["val_bpb"]
    hits = kept.iloc[1:].sort_values("delta", ascending=False)
    lines = [
        f"{rank:4d} {row['delta']:+.6f} {row['val_bpb']:.6f} {row['memory_gb']:.1f} {row['description']}"
        for rank, (_, row) in enumerate(hits.iterrows(), 1)
    ]
    baseline, best = frame.iloc[0]["val_bpb"], kept["val_bpb"].min()
    return {
        "rate": counts.get("KEEP", 0) / decided,
        "frontier": frontier.to_list(),
        "near": len(near),
        "gain": baseline - best,
        "percent": (baseline - best) / baseline * 100,
        "best": kept.loc[kept["val_bpb"].idxmin()]["description"],
        "total": hits["delta"].sum(),
        "lines": lines,
    }


def test_autoresearchs_analysis_runs_on_our_results_tsv_and_finds_our_best(tmp_path: Path) -> None:
    population = searched(80, seed=3).population
    write_exports(tmp_path, population, genome_of)
    found = analysed(tmp_path / "results.tsv")
    kept = [t.score for t in population.trials.values() if t.verdict == "advance" and t.score is not None]
    assert found["frontier"] == sorted(found["frontier"], reverse=True)
    assert found["frontier"][-1] == pytest.approx(min(kept), abs=1e-6)
    assert found["gain"] == pytest.approx(2.7344 - min(kept), abs=1e-6) and 0 < found["percent"] < 100
    assert found["total"] == pytest.approx(kept[0] - kept[-1], abs=1e-5)
    assert len(found["lines"]) == len(kept) - 1 and found["near"] >= len(found["frontier"]) > 3
    assert isinstance(found["best"], str) and 0 < found["rate"] < 1


def test_it_runs_on_a_baseline_alone_and_where_all_else_crashed(tmp_path: Path) -> None:
    story = Story().begins("cedar")
    write_exports(tmp_path, story.population, genome_of)
    assert analysed(tmp_path / "results.tsv")["lines"] == []
    story.tries("cedar", "nan", Crashed("NaN"))
    write_exports(tmp_path, story.population, genome_of)
    found = analysed(tmp_path / "results.tsv")
    assert found["gain"] == 0 and found["frontier"] == [2.7344]


def test_our_results_tsv_is_one_that_can_be_compared(tmp_path: Path) -> None:
    story = searched(60)
    write_exports(tmp_path, story.population, genome_of)
    rows = read_rows(tmp_path / "results.tsv")
    scores = [trial.score for trial in story.population.trials.values() if trial.verdict is not None]
    assert [row.score for row in rows] == [None if s is None else pytest.approx(s, abs=1e-6) for s in scores]


def test_experiments_parquet_has_the_columns_that_are_promised(tmp_path: Path) -> None:
    write_exports(tmp_path, searched(30).population, genome_of)
    frame = pl.read_parquet(tmp_path / "experiments.parquet")
    assert set(frame.columns) >= COLUMNS
    assert frame["started_at"].dtype == pl.Datetime("ms", "UTC") and frame["val_bpb"].dtype == pl.Float64
    assert frame["trial"].to_list() == list(range(1, 31))


def test_git_log_with_our_notes_shows_the_numbers_of_each_trial(tmp_path: Path) -> None:
    def train(genome: str) -> Outcome:
        return Crashed("NaN") if float(knobs(genome)["X"]) > 3 else valley(genome)

    task = make_task(tmp_path / "task")
    population = run_on_git(make_run(tmp_path / "runs", task, trials=8), train).population
    assert {type(trial.outcome) for trial in population.trials.values()} == {Completed, Crashed}
    run = population.run.run
    for trial in population.trials.values():
        shown = git(task, "log", "-1", "--notes=lineages", f"refs/lineages/{run}/trials/{trial.number:04d}")
        result = "crashed" if trial.score is None else f"loss {trial.score:.6f}"
        assert f"{run}/{trial.number:04d} {result}, {trial.verdict}: " in shown
    best = population.lineages[next(iter(population.lineages))].tip
    assert f"loss {population.scores[best][0]:.6f}, advance" in git(task, "log", "--notes=lineages", best)
