"""The arena: searches that repeat, intervals that cover, files that are read or refused."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median

import numpy as np
import pytest
from msgspec.structs import replace

from benchmarks import arms, intervals, tables
from benchmarks.arena import main
from benchmarks.play import Arm, Played, play
from benchmarks.result import Result, read, write
from benchmarks.worlds import pools
from population.names import lineage_name
from population.proposals import NoIdea, Request, Tried
from population.records import Completed, Crashed
from trainer.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "benchmarks" / "worlds" / "example.py"
GREEDY = Arm("greedy", "greedy")


def commit_if_better(pool: pools.Pool, trials: int, seed: int) -> list[float]:
    """True score of the tip after each trial, of a line that keeps what scores better."""
    tip, history, seen = pool.genome, (), {pool.hash_of(frozenset())}
    score, truths = score_of(pool, tip), [pool.truth(tip)]
    for trial in range(2, trials + 1):  # four entries of the journal a trial, and two before the first
        luck = Random(f"{seed} {lineage_name(0)} {4 * trial - 2}").getrandbits(32)
        brief = pool.briefs[0]
        reply = pool.proposer(brief).propose(
            Request("", brief, "", tip, None, tuple(history), frozenset(seen), luck)
        )
        assert not isinstance(reply, NoIdea)
        found = score_of(pool, reply.genome)
        knobs = {pool.ideas[i].name: True for i in pool.ideas_in(reply.genome)}
        history = (*history, Tried(trial, "", "", reply.idea, "", "", None, knobs, Crashed(""), False))
        seen.add(pool.hash_of(pool.ideas_in(reply.genome)))
        if found < score:
            tip, score = reply.genome, found
        truths.append(pool.truth(tip))
    return truths


def score_of(pool: pools.Pool, genome: str) -> float:
    outcome = pool.train(genome, 1)
    return outcome.score if isinstance(outcome, Completed) else float("inf")


def results(arm: str, gains: Sequence[float], claimed: float | None = None) -> list[Result]:
    played = (Played(10, 1 - gain, gain, claimed, 0.001, 1, 0, (1.0, 1 - gain), (1.0, 2.0)) for gain in gains)
    return [Result("equal", arm, world, each) for world, each in enumerate(played)]


@pytest.mark.parametrize("arm", [GREEDY, Arm("promise", "promise", 4)])
def test_a_search_of_a_world_repeats_itself(arm: Arm) -> None:
    once, again = (play(pools.equal(3), arm, 25, 3, curve=True) for _ in range(2))
    assert once == again and once.trials == len(once.truths) == 25
    assert once != play(pools.equal(4), arm, 25, 4, curve=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_greedy_arm_commits_if_better_and_does_nothing_else(seed: int) -> None:
    make = pools.on_random_brief(pools.equal)
    played = play(make(seed), GREEDY, 60, seed, curve=True)
    assert list(played.truths) == commit_if_better(make(seed), 60, seed)
    assert played.score == played.truths[-1] < played.truths[0]


def test_what_is_noted_on_the_way_changes_nothing() -> None:
    arm = Arm("promise", "promise", 4)
    noted, plain = (play(pools.equal(5), arm, 30, 5, curve=curve) for curve in (True, False))
    assert (noted.score, noted.claimed, noted.advanced) == (plain.score, plain.claimed, plain.advanced)


def test_a_serial_mind_costs_the_gpu_its_time_and_four_minds_hide_theirs() -> None:
    night = {"trial_s": 300.0, "failed_s": 300.0, "think_s": 60.0}
    serial = play(pools.equal(0), Arm("serial", "greedy", **night), None, 0, hours=2, curve=True)
    several = play(pools.equal(0), Arm("several", "promise", 4, **night), None, 0, hours=2, curve=True)
    assert serial.trials == 1 + (7200 - 300) // 360
    assert several.trials > serial.trials
    assert max(serial.ended_s[-1], several.ended_s[-1]) <= 7200


def test_in_a_pipeline_a_trial_that_was_foreseen_starts_up_beside_another_one() -> None:
    arm = Arm("pipeline", "promise", 4, 326.0, think_s=25.0, overlaps=True)
    played = play(pools.equal(0), arm, None, 0, hours=4, curve=True)
    cycles = [round(after - before) for before, after in pairwise(played.ended_s)]
    assert {309, 317} <= set(cycles) and 309 <= median(cycles) <= 317


def test_a_pipeline_does_more_trials_of_a_night_however_long_its_minds_think() -> None:
    for think_s in (25.0, 300.0):
        serial, pipeline = (
            play(
                pools.equal(1), Arm("", "promise", 4, 326.0, think_s=think_s, overlaps=overlaps), None, 1, 4.0
            )
            for overlaps in (False, True)
        )
        assert serial.trials < pipeline.trials
        assert pipeline.gpu_s is not None and pipeline.gpu_s <= 4 * 3600


def test_gains_are_told_by_the_hour_that_the_gpu_had_trials() -> None:
    kind = arms.kinds(None, None)["racing"]
    whole, racing = (entrant.name for entrant in kind.entrants)
    night = Played(10, 1.0, 0.010, gpu_s=7200.0, raced=8, stopped=0, saved=0.0, improvements=2, killed=0)
    short = replace(night, gain=0.012, gpu_s=3600.0, stopped=4, saved=0.3, improvements=4, killed=1)
    played = [Result("racing", whole, 0, night), Result("racing", racing, 0, short)]
    one, other = tables.rows(kind, played)
    assert one.rate is not None and one.rate.value == pytest.approx(5) and one.rated is None
    assert other.rated is not None and other.rated.value == pytest.approx(12 / 5)
    assert (other.stopped, other.saved, other.killed, other.wronged) == (0.5, 0.3, 0.25, 0.25)


def test_a_trial_that_fails_takes_less_of_the_night() -> None:
    arm = Arm("greedy", "greedy", failed_s=1.0)
    played = play(pools.equal(1), arm, 60, 1, curve=True)
    assert {round(after - before) for before, after in pairwise(played.ended_s)} == {1, 300}


def test_a_95_percent_interval_covers_the_mean_and_a_ratio() -> None:
    random, worlds, tries = np.random.default_rng(1), 60, 200
    hits = np.zeros(2)
    for _ in range(tries):
        luck = random.normal(10, 4, worlds)
        ours, theirs = 1.3 * luck + random.normal(0, 2, worlds), luck
        mean, ratio = intervals.mean(theirs), intervals.ratio(ours, theirs)
        assert ratio is not None
        hits += mean.low <= 10 <= mean.high, ratio.low <= 1.3 <= ratio.high
    assert (hits / tries >= 0.89).all() and (hits / tries < 1).all()


def test_pairing_takes_out_what_is_the_same_for_all() -> None:
    luck = np.random.default_rng(0).normal(10, 4, 50)
    found = intervals.difference(luck + 1, luck)
    assert (found.low, found.value, found.high) == pytest.approx((1, 1, 1))


def test_nothing_is_a_multiple_of_no_gain_and_one_world_says_nothing() -> None:
    assert intervals.ratio(np.ones(20), np.zeros(20)) is None
    assert intervals.mean(np.ones(1)) == intervals.Interval(1, -np.inf, np.inf)


def test_arms_are_compared_over_the_worlds_that_both_played() -> None:
    kind = arms.kinds(None, None)["equal"]
    played = [*results("greedy", [0.001, 0.002, 0.009]), *results("best-of-n", [0.002, 0.004])]
    greedy, other = tables.rows(kind, played)
    assert greedy.ratio is None and other.ratio is not None
    assert other.ratio.value == pytest.approx(2) and other.gain.value == pytest.approx(3)


def test_a_reported_interval_covers_a_gain_within_two_deviations() -> None:
    kind = arms.kinds(None, None)["equal"]
    (row,) = tables.rows(kind, results("greedy", [0.0, 0.001, 0.003, 0.0049], claimed=0.003))
    assert row.covered == 0.5 and row.claimed == pytest.approx(3) and row.kept == 0.1


def test_results_read_back_as_they_were_written(tmp_path: Path) -> None:
    played = [*results("a", [0.1, 0.2], claimed=0.1), *results("b", [0.3])]
    write(played[::-1], tmp_path / "equal.parquet")
    assert read(tmp_path / "equal.parquet") == played


def test_every_kind_of_world_is_played_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--worlds", "2", "--trials", "5", "--hours", "0.3", "--jobs", "1"]
    assert main([*options, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for kind in ("equal", "unequal", "deceptive", "null", "night-equal", "night-unequal", "racing"):
        page = (tmp_path / f"{kind}.md").read_text()
        assert page in said and ("time saved" if kind == "racing" else "| greedy") in page
        assert {result.world for result in read(tmp_path / f"{kind}.parquet")} == {0, 1}


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    options = ["null", "--worlds", "2", "--trials", "5"]
    command = [sys.executable, ROOT / "benchmarks" / "arena.py", *options, "--jobs", "2"]
    subprocess.run([*command, "--out", tmp_path / "two"], check=True, timeout=120)
    assert main([*options, "--jobs", "1", "--out", str(tmp_path / "one")]) == 0
    assert read(tmp_path / "two" / "null.parquet") == read(tmp_path / "one" / "null.parquet")


def test_the_example_world_is_played_alone(tmp_path: Path) -> None:
    options = ["--worlds", "1", "--trials", "10", "--jobs", "1", "--out", str(tmp_path)]
    assert main(["--world", str(EXAMPLE), *options]) == 0
    assert [file.stem for file in tmp_path.glob("*.md")] == ["world"]
    assert max(result.played.gain for result in read(tmp_path / "world.parquet")) > 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no such Python file"),
        ("x = 1", "defines no function"),
        ("def world(seed:", "cannot be imported"),
        ("import nowhere_to_be_found", "cannot be imported"),
        ("def world(seed): return seed", "world(0) has no genome, briefs, sigma"),
    ],
)
def test_a_file_that_holds_no_world_gets_one_clear_line(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput, match=r"mine\.py") as refused:
        arms.kinds(None, file)
    assert complaint in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [["h200"], ["world"], ["nought"], ["--world", "none.py"], ["--h200", "none"], ["--jobs", "0"]],
)
def test_a_mistake_on_the_command_line_is_one_line_and_code_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1


def test_curves_and_gains_are_drawn_where_altair_is_there(tmp_path: Path) -> None:
    pytest.importorskip("altair", reason="charts need the group bench")
    from benchmarks import charts

    kind = arms.kinds(None, None)["equal"]
    played = [*results("greedy", [0.001, 0.002]), *results("best-of-n", [0.002, 0.004])]
    write(played, tmp_path / "equal.parquet")
    charts.draw(kind, played, tmp_path)
    charts.draw_all(tmp_path)
    for name in ("equal.svg", "gains.svg"):
        assert "best-of-n" in (tmp_path / name).read_text() and "mbpb" in (tmp_path / name).read_text()
