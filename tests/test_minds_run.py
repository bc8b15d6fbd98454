"""Minds and submissions through the command line, as its user types it: real processes, Ray, HTTP and git."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import polars as pl
import psutil  # type: ignore[import-untyped]
import pytest

from population.journal import read
from population.records import Assigned
from tests.population.model_server import KEY, ModelServer, sensible
from tests.test_scheduler import EACH_IN_A_FORK, ROOT, Desk, Used, commit_all, furnished, git

BRIEFS = ("architecture", "contrarian")
PROGRAMS = [word for name in BRIEFS for word in ("--program", str(ROOT / "programs" / f"{name}.md"))]
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE")


def told(desk: Desk, environment: dict[str, str]) -> Desk:
    """The desk, with more in the environment of its scheduler."""
    desk._env |= environment
    return desk


@pytest.fixture(scope="module")
def thought() -> Iterator[tuple[Used, ModelServer]]:
    """A run of twelve trials with two briefs, whose ideas come from a model."""
    with furnished() as desk, ModelServer(sensible) as server:
        commit_all(desk.task)
        model = ["--proposer", "llm", "--model", "openai/test"]
        limits = ["--lineages", "2", "--trials", "12", "--name", "one", "--task", str(desk.task)]
        yield Used(desk, *told(desk, server.environment).run(*model, *PROGRAMS, *limits)), server


@pytest.mark.slow
def test_a_model_behind_http_spends_the_trials_with_two_briefs(thought: tuple[Used, ModelServer]) -> None:
    done, server = thought
    assert done.code == 0, done.errors
    population = done.desk.population("one")
    assert population.finished == 12
    assert [line.brief for line in population.lineages.values()][:2] == list(BRIEFS)
    texts = [asked.text for asked in server.asked]
    for brief in BRIEFS:
        assert any((ROOT / "programs" / f"{brief}.md").read_text().splitlines()[0] in text for text in texts)


@pytest.mark.slow
def test_the_tables_say_who_proposed_what_and_what_it_took(thought: tuple[Used, ModelServer]) -> None:
    done, server = thought
    rows = pl.read_parquet(done.desk.runs / "one" / "experiments.parquet")
    ideas = rows.filter(pl.col("operator") == "mutate")
    assert ideas.height >= 4 and set(ideas["proposer"]) == {"llm/openai/test"}
    assert set(ideas["brief"]) <= set(BRIEFS)
    assert all(tokens % 1000 == 0 and tokens > 0 for tokens in ideas["prompt_tokens"])
    assert sum(ideas["prompt_tokens"]) <= 1000 * len(server.asked)
    for brief in BRIEFS:
        assert re.search(rf"{brief}\s+llm/openai/test", done.said)


@pytest.mark.slow
def test_the_key_is_kept_out_of_everything_that_a_run_leaves(thought: tuple[Used, ModelServer]) -> None:
    done, server = thought
    assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in server.asked)
    assert KEY not in done.said + done.errors + "".join(asked.text for asked in server.asked)
    left = [path for path in done.desk.home.rglob("*") if path.is_file()]
    assert done.desk.journal("one") in left and len(left) > 20
    assert [path for path in left if KEY.encode() in path.read_bytes()] == []


# --- submit ------------------------------------------------------------------------------------------------

SLOW = "import time\n\ntime.sleep(1)\n"
SPY = """
import os
import pathlib

key, found, denied = "sk-kept-" + "to-itself", str(dict(os.environ)), 0
for process in [*PIDS, *range(1, 2000), os.getppid(), "self"]:
    for file in ("environ", "cmdline"):
        try:
            found += pathlib.Path(f"/proc/{process}/{file}").read_text(errors="replace")
        except OSError:
            denied += 1
print("denied", denied, "and found", found.count(key) + found.count("OPENAI"))
"""


class Client:
    """A worktree of a lineage of run two, and the train.py that is submitted from there."""

    def __init__(self, desk: Desk, lineage: str, name: str, code: str, x: float) -> None:
        self.desk, self.lineage, self.folder = desk, lineage, desk.home / name
        git(desk.task, "worktree", "add", "-q", "--detach", str(self.folder), f"lineages/two/{lineage}")
        genome = (self.folder / "train.py").read_text().replace("X = 3.0", f"X = {x}")
        (self.folder / "train.py").write_text(genome + code)
        self.idea = f"the idea of {name}"

    def starts(self, *options: str) -> "subprocess.Popen[str]":
        words = ["submit", "two", "--lineage", self.lineage, "-m", self.idea, *options]
        command = [sys.executable, str(ROOT / "scheduler.py"), *words]
        return subprocess.Popen(
            command,
            env=self.desk._env,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def submits(self, *options: str) -> tuple[int, str, str]:
        return self.desk.ended(self.starts(*options))


@pytest.fixture(scope="module")
def sent() -> Iterator[tuple[Desk, dict[str, tuple[int, str, str]]]]:
    """A run that is only sent ideas, which has ended, and what became of those who sent some."""
    with furnished() as desk, ModelServer() as server:
        told(desk, server.environment)
        commit_all(desk.task)
        words = ["--proposer", "submit", "--lineages", "2", "--trials", "50", "--name", "two"]
        scheduler = desk.start(*words, "--task", str(desk.task))
        try:
            came = exchange(desk, scheduler.pid)
        finally:
            os.killpg(scheduler.pid, signal.SIGINT)
            ended = desk.ended(scheduler)
        late = Client(desk, "birch", "late", "", 0.25).submits()
        yield desk, came | {"scheduler": ended, "late": late}


def exchange(desk: Desk, scheduler: int) -> dict[str, tuple[int, str, str]]:
    """Submit this and that to run two, whose scheduler is the process of that number."""
    desk.wait_for("two", 2)
    pids = [scheduler, *(child.pid for child in psutil.Process(scheduler).children(recursive=True))]
    one, two = Client(desk, "amber", "one", SLOW, 2.5), Client(desk, "birch", "two", SLOW, 2.0)
    spy, broken = (
        Client(desk, "amber", "spy", SPY.replace("PIDS", str(pids)), 1.5),
        Client(desk, "amber", "broken", "x = (\n", 1.0),
    )
    last = Client(desk, "birch", "last", "", 0.5)
    together = {"one": one.starts(), "two": two.starts()}
    came = {name: desk.ended(process) for name, process in together.items()}
    together = {"spy": spy.starts(), "broken": broken.starts(), "last": last.starts("--no-wait")}
    came |= {name: desk.ended(process) for name, process in together.items()}
    return came | {"again": one.submits(), "running": desk.run("show")}


Sent = tuple[Desk, dict[str, tuple[int, str, str]]]


@pytest.mark.slow
def test_two_who_submit_at_once_share_the_gpu_in_order_and_both_are_told(sent: Sent) -> None:
    desk, came = sent
    population = desk.population("two")
    for name, lineage in (("one", "amber"), ("two", "birch")):
        code, said, errors = came[name]
        assert (code, errors) == (0, "")
        queued = re.match(rf"queued as candidate (\d+) of two, for {lineage}\n---\n", said)
        assert queued
        tried = population.trials[population.tried[int(queued[1])]]
        assert (tried.candidate.lineage, tried.candidate.idea) == (lineage, f"the idea of {name}")
        block = dict(line.split(": ", 1) for line in said.splitlines()[2:])
        assert float(block["loss"]) == pytest.approx(tried.score, abs=1e-6)
        assert (block["trial"], block["status"]) == (str(tried.number), "completed")
        assert block["verdict"].startswith(f"{tried.verdict}, ")
    given = [event for entry in read(desk.journal("two")) if isinstance(event := entry.event, Assigned)]
    external = [each.candidate for each in given if "was submitted" in each.reason]
    assert external == sorted(set(external)) and len(external) == 4


@pytest.mark.slow
def test_who_does_not_wait_is_told_the_number_alone(sent: Sent) -> None:
    code, said, _ = sent[1]["last"]
    assert code == 0 and re.fullmatch(r"queued as candidate \d+ of two, for birch\n", said)


@pytest.mark.slow
def test_what_cannot_be_tried_is_refused_before_it_is_sent(sent: Sent) -> None:
    code, said, errors = sent[1]["broken"]
    assert (code, errors) == (1, "") and re.fullmatch(r"refused: .*\n", said)


@pytest.mark.slow
def test_what_was_tried_before_is_told_again_without_another_trial(sent: Sent) -> None:
    assert sent[1]["again"] == sent[1]["one"]


@pytest.mark.slow
def test_a_run_that_is_not_running_takes_nothing(sent: Sent) -> None:
    desk, came = sent
    line = "error: no scheduler is running two: go on with --resume two\n"
    assert came["scheduler"][0] == 0 and came["late"] == (2, "", line)
    assert not list((desk.runs / "two" / "inbox").glob("*.json"))


@pytest.mark.slow
def test_show_lists_the_runs_there_are(sent: Sent) -> None:
    desk, came = sent
    assert came["running"][0] == 0 and re.search(r"^two +running +\d+ +2 ", came["running"][1], re.MULTILINE)
    assert re.search(r"^two +ended +\d+ +2 ", desk.run("show")[1], re.MULTILINE)


@pytest.mark.slow
def test_no_candidate_finds_a_key(sent: Sent) -> None:
    desk, came = sent
    assert came["spy"][0] == 0, came["spy"]
    trial = re.search(r"^trial: (\d+)$", came["spy"][1], re.MULTILINE)
    assert trial
    log = (desk.runs / "two" / "logs" / f"{int(trial[1]):04d}.log").read_text()
    looked = re.search(r"^denied (\d+) and found (\d+)$", log, re.MULTILINE)
    assert looked and int(looked[1]) > 20 and int(looked[2]) == 0
    assert not [path for path in desk.runs.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


BAD_USES = [
    (["--model", "openai/test"], "needs OPENAI_API_KEY in the environment"),
    (["--model", "ollama/test", "--max-cost", "1"], "litellm knows no price of ollama/test"),
    (["--max-cost", "0"], "--max-cost must be more than 0"),
    (["--proposer", "llm"], "--proposer llm needs --model"),
    (["--agent", "no-such-agent-here {prompt}"], "no-such-agent-here"),
    (["submit", "nothing", "--lineage", "amber", "-m", "x"], "no run 'nothing'"),
]


@pytest.fixture(scope="module")
def misused() -> Iterator[list[Used]]:
    """What each bad use comes to. They share the imports, of which that of litellm takes seconds."""
    with furnished() as desk:
        desk._env = {name: value for name, value in desk._env.items() if name not in KEYS}
        short = ["--task", str(desk.task), "--trials", "1"]  # of those that are taken for good use
        uses = [arguments + ([] if arguments[0] == "submit" else short) for arguments, _ in BAD_USES]
        litellm = "from population.proposers.models import priced; priced('openai/test')\n"
        _, codes, _ = desk.python("-c", litellm + EACH_IN_A_FORK, json.dumps(uses))
        yield [
            Used(desk, int(code), *((desk.home / f"{n}.{kind}").read_text() for kind in ("said", "errors")))
            for n, code in enumerate(codes.split())
        ]


@pytest.mark.parametrize("number", range(len(BAD_USES)), ids=lambda number: " ".join(BAD_USES[number][0]))
def test_bad_use_of_minds_is_one_line(misused: list[Used], number: int) -> None:
    came, says = misused[number], BAD_USES[number][1]
    assert (came.code, came.said) == (2, "")
    assert came.errors.startswith("error: ") and came.errors.count("\n") == 1
    assert says in came.errors
