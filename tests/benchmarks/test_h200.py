"""The H200 world, on a small table of made-up trials with the columns of the real one."""

import math
import multiprocessing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.world import World
from benchmarks.worlds import h200, h200_model
from population.genome import knobs, rewrite
from population.proposals import Proposal, Request
from population.records import Completed, Crashed
from trainer.errors import BadInput

SIGMA = 5e-4
STEPS = 200  # of training: enough for so simple a hill


def rows(count: int) -> pl.DataFrame:
    """Best at MATRIX_LR 0.02, failing with 256 rows a pass; the first genome was tried in six sessions."""
    random, base, trials = np.random.default_rng(0), knobs(h200.GENOME), []
    for trial in range(count):
        rate, rows = (
            float(np.exp(random.uniform(np.log(0.005), np.log(0.2)))),
            2 ** int(random.integers(5, 9)),
        )
        values = {"MATRIX_LR": rate, "DEVICE_BATCH_SIZE": rows} if trial >= 6 else {}
        constants = {**base, **values, "DEPTH": 8 if trial < 6 else int(random.integers(6, 11))}
        fails = constants["DEVICE_BATCH_SIZE"] == 256
        score = 0.98 + 0.01 * math.log(float(constants["MATRIX_LR"]) / 0.02) ** 2 + random.normal(0, SIGMA)
        session = {"method": "random", "seed": trial, "trial": trial, "success": not fails}
        trials.append({**session, "val_bpb": None if fails else score, "train_seconds": 300.0, **constants})
    return pl.DataFrame(trials, infer_schema_length=None)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("h200") / "trials.parquet"
    rows(300).write_parquet(file)
    return file


@pytest.fixture(scope="module")
def world(table: Path) -> World:
    return h200.make(table, table.parent, STEPS)(0)


def test_the_truth_follows_the_trials(world: World) -> None:
    found = [world.truth(rewrite(h200.GENOME, {"MATRIX_LR": rate})) for rate in (0.01, 0.02, 0.04, 0.1)]
    assert found == pytest.approx([0.9848, 0.98, 0.9848, 1.0059], abs=0.003)


def test_what_filled_the_memory_in_the_table_crashes_under_every_seed(world: World) -> None:
    large = rewrite(h200.GENOME, {"DEVICE_BATCH_SIZE": 256})
    assert {world.train(large, seed) for seed in range(5)} == {Crashed("out of memory")}
    assert world.truth(large) == math.inf


def test_a_genome_that_would_not_run_crashes(world: World) -> None:
    for change in (
        {"TOTAL_BATCH_SIZE": 2**17},
        {"MATRIX_LR": 9.0},
        {"WINDOW_PATTERN": "LSLS"},
        {"HEAD_DIM": 96},
    ):
        assert isinstance(world.train(rewrite(h200.GENOME, change), 0), Crashed)
    assert isinstance(world.train(h200.GENOME.replace("DEPTH", "DEEP"), 0), Crashed)
    assert isinstance(world.train("DEPTH =", 0), Crashed)


def test_the_noise_is_as_wide_as_sessions_differ(world: World) -> None:
    scores = [o.score for seed in range(2000) if isinstance(o := world.train(h200.GENOME, seed), Completed)]
    assert np.mean(scores) == pytest.approx(world.truth(h200.GENOME), abs=world.sigma / 10)
    assert np.std(scores) == pytest.approx(world.sigma, rel=0.2)
    assert SIGMA / 3 < world.sigma < 5 * SIGMA


def test_the_same_genome_and_seed_have_the_same_luck_in_the_same_world_only(table: Path) -> None:
    make = h200.make(table, table.parent, STEPS)
    outcome = make(1).train(h200.GENOME, 7)
    assert make(1).train(h200.GENOME.replace("# layers", "# deep"), 7) == outcome
    assert outcome not in (make(2).train(h200.GENOME, 7), make(1).train(h200.GENOME, 8))
    assert make(1).truth(h200.GENOME) == make(2).truth(h200.GENOME)


def test_every_brief_names_a_mind_that_has_an_idea(world: World) -> None:
    for brief in world.briefs:
        request = Request("a", brief, "c0", world.genome, None, (), frozenset(), seed=1)
        assert isinstance(world.proposer(brief).propose(request), Proposal)
    with pytest.raises(ValueError, match="tpe, cma"):
        world.proposer("luck")


def test_far_from_all_trials_no_score_falls_below_the_floor(table: Path) -> None:
    model = h200_model.load(table, table.parent, STEPS)
    far = np.random.default_rng(0).normal(scale=5, size=(1000, len(model.centre)))
    assert model.scores(model.centre + far * model.spread).min() >= h200_model.FLOOR


def test_a_model_is_fitted_once_and_the_same_for_processes_that_ask_at_once(
    table: Path, tmp_path: Path
) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(h200_model.load, [(table, tmp_path, STEPS)] * 2)
    kept = h200_model.load(table, table.parent, STEPS)
    assert (first.weights1 == second.weights1).all() and (first.weights1 == kept.weights1).all()
    assert len(list(tmp_path.glob("*.npz"))) == 1 and not list(tmp_path.glob("*.partial"))


def test_methods_that_turned_more_than_the_constants_are_left_out(tmp_path: Path) -> None:
    trials = rows(10)
    rewriter = trials.with_columns(
        method=pl.lit("code"), DEPTH=pl.when(pl.col("trial") > 5).then(pl.col("DEPTH"))
    )
    pl.concat([trials, rewriter]).write_parquet(tmp_path / "both.parquet")
    assert h200_model.read(tmp_path / "both.parquet").equals(trials)


def test_a_file_that_holds_no_trials_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    rows(8).drop("DEPTH").write_parquet(tmp_path / "shallow")
    rows(8).with_columns(val_bpb=0.9).write_parquet(tmp_path / "dream")
    for name, words in (
        ("none", "no such file"), ("text", "not a parquet"), ("shallow", "lacks DEPTH"), ("dream", "or less")
    ):  # fmt: skip
        with pytest.raises(BadInput, match=words):
            h200.make(tmp_path / name, tmp_path)


def test_without_repeats_there_is_no_telling_the_noise(tmp_path: Path) -> None:
    rows(20)[5:].write_parquet(tmp_path / "once")
    with pytest.raises(BadInput, match="two sessions"):
        h200.make(tmp_path / "once", tmp_path)
