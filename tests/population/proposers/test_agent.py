"""A coding agent is driven end to end: what it may do, what is taken of it, and that nothing of it stays."""

import os
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.branches import Branches
from population.lineage import Mind
from population.making.drafting import Draft
from population.proposals import NoIdea, Proposal, Reply, Request, Subject, Turned, Unusable
from population.proposers import desk
from population.proposers.agent import Agent
from population.repository.worktrees import NotTaken, Worktree
from trainer.errors import BadInput
from trainer.running.log import HEAD, TAIL

AGENTS = Path(__file__).parent / "agents"
GENOME = "RATE = 0.5\nprint(RATE)\n"
HALVED = "RATE = 0.25\nprint(RATE)\n"
PREPARE = "METRIC, BUDGET_S = 'loss', 5\n"


def git(folder: Path, *words: str) -> str:
    person = ("-c", "user.name=User", "-c", "user.email=user@example.org")
    done = subprocess.run(["git", *person, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def files(folder: Path, genome: str = "train.py") -> Path:
    for name, text in ((genome, GENOME), ("prepare.py", PREPARE), ("program.md", "The task's own brief.\n")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task that is a repository, in which a lineage once halved the rate."""
    folder = files(tmp_path / "task")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Begin")
    return folder


def agent(task: Path, script: str, *words: object, limit_s: float = 60.0) -> Agent:
    command = " ".join(map(str, (sys.executable, AGENTS / f"{script}.py", *words)))
    return Agent(command, str(task), str(task.parent / "run" / "worktrees" / "amber"), limit_s)


def request(task: Path, genome: str = GENOME, *turned: Turned) -> Request:
    parent = git(task, "rev-parse", "HEAD")
    return Request(
        "amber", "Look far.\n", parent, genome, 1.5, (), frozenset(), 7, "loss", 5.0, turned=turned
    )


def asked(task: Path, script: str, *words: object, limit_s: float = 60.0) -> Reply:
    return agent(task, script, *words, limit_s=limit_s).propose(request(task))


def log(task: Path) -> str:
    return (task.parent / "run" / "worktrees" / "amber.log").read_text(errors="replace")


def gone(pid: int) -> bool:
    """Whether a process has ended, or does so at once: a kill is not waited for."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        until = time.monotonic() + 10
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
    return True


@pytest.mark.parametrize("told", ["{prompt_file}", ""], ids=["file", "stdin"])
def test_an_agent_reads_its_desk_and_its_change_is_proposed_with_its_idea(task: Path, told: str) -> None:
    reply = asked(task, "good", told)
    assert isinstance(reply, Proposal)
    assert (reply.genome, reply.idea, reply.expected) == (HALVED, "halve RATE: it overshoots", -0.125)
    assert reply.thought.wall_s > 0
    assert "I have halved the rate." in log(task)


def test_the_prompt_can_be_an_argument_and_is_not_filled_in_again(task: Path) -> None:
    worktree = task.parent / "run" / "worktrees" / "amber"
    turned = Turned("", "it said {folder} and $HOME")
    told = Agent("echo {prompt} {folder}/here", str(task), str(worktree))
    assert isinstance(told.propose(request(task, GENOME, turned)), Unusable)
    assert "it said {folder} and $HOME" in log(task)
    assert f"{worktree}/here" in log(task)


def test_the_worktree_starts_from_the_parent_with_the_lineages_own_brief_beside_it(task: Path) -> None:
    asked(task, "good")
    worktree = task.parent / "run" / "worktrees" / "amber"
    assert git(worktree, "status", "--porcelain") == "M train.py"
    assert git(worktree, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert (worktree / ".lineages" / "program.md").read_text() == "Look far.\n"
    assert (worktree / "program.md").read_text() == "The task's own brief.\n"


def test_the_users_own_files_index_and_branches_stay_as_they_are(task: Path) -> None:
    (task / "train.py").write_text("RATE = 99.0  # unsaved\n")
    (task / "new.py").touch()
    git(task, "add", "new.py")
    before = git(task, "status", "--porcelain"), git(task, "branch"), git(task, "diff", "--cached")
    asked(task, "good")
    assert (git(task, "status", "--porcelain"), git(task, "branch"), git(task, "diff", "--cached")) == before
    assert (task / "train.py").read_text() == "RATE = 99.0  # unsaved\n"


def test_what_is_not_its_to_change_is_dropped_and_said_in_the_log(task: Path) -> None:
    reply = asked(task, "meddles")
    assert isinstance(reply, Proposal)
    assert reply.genome == HALVED
    for name in ("prepare.py", "notes/plan.md", "program.md"):
        assert name in log(task).partition("dropped: ")[2]
    again = asked(task, "good")
    assert isinstance(again, Proposal)
    assert "dropped: " not in log(task).rpartition("asked for")[2]


def test_an_agent_that_changed_only_other_files_is_told_so(task: Path) -> None:
    reply = asked(task, "only_others")
    assert isinstance(reply, Unusable)
    assert reply.reason == "train.py is as it was, and only train.py is taken of what was changed: prepare.py"


def test_an_agent_that_changed_nothing_is_told_so(task: Path) -> None:
    reply = Agent("true", str(task), str(task.parent / "run" / "worktrees" / "amber")).propose(request(task))
    assert isinstance(reply, Unusable)
    assert reply.reason == "train.py is as it was"


def test_an_agent_that_hangs_is_killed_with_the_child_that_hides_and_nothing_is_taken(task: Path) -> None:
    pid = task.parent / "pid"
    reply = asked(task, "hangs", pid, limit_s=2.0)
    assert isinstance(reply, NoIdea)
    assert reply.failed and "did not end within 2 s" in reply.reason
    assert gone(int(pid.read_text()))


def test_what_an_agent_leaves_running_is_killed_and_its_work_taken(task: Path) -> None:
    pid = task.parent / "pid"
    assert isinstance(asked(task, "leaves_behind", pid), Proposal)
    assert gone(int(pid.read_text()))


def test_an_agent_ends_with_the_process_that_asked_it(task: Path) -> None:
    pid = task.parent / "pid"
    asker = os.fork()
    if asker == 0:
        asked(task, "hangs", pid)
        os._exit(0)
    until = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(asker, 9)
    os.waitpid(asker, 0)
    assert gone(int(pid.read_text()))


def test_an_agent_that_deletes_everything_comes_to_nothing_and_the_next_begins_anew(task: Path) -> None:
    reply = asked(task, "deletes")
    assert isinstance(reply, Unusable)
    assert reply.reason == "train.py is gone"
    assert (task / "train.py").exists()
    assert isinstance(asked(task, "good"), Proposal)
    assert git(task, "worktree", "list").count("amber") == 1


@pytest.mark.parametrize("harm", ["gitfile", "folder", "records", "index", "elsewhere", "file"])
def test_a_worktree_is_made_sound_again_whatever_became_of_it(task: Path, harm: str) -> None:
    assert isinstance(asked(task, "good"), Proposal)
    worktree, records = task.parent / "run" / "worktrees" / "amber", task / ".git" / "worktrees" / "amber"
    match harm:
        case "gitfile":
            (worktree / ".git").write_text(f"gitdir: {task}/.git\n")
        case "folder":
            subprocess.run(["rm", "-r", worktree], check=True)
        case "records":
            subprocess.run(["rm", "-r", records], check=True)
        case "index":
            (records / "index").write_text("nonsense")
            (records / "index.lock").touch()
            (records / "HEAD.lock").touch()
        case "elsewhere":
            subprocess.run(["rm", "-r", worktree], check=True)
            worktree.symlink_to(task)
        case "file":
            subprocess.run(["rm", "-r", worktree], check=True)
            worktree.touch()
    reply = asked(task, "good")
    assert isinstance(reply, Proposal)
    assert reply.genome == HALVED
    assert (task / "train.py").read_text() == GENOME


def test_only_the_end_of_what_an_agent_prints_is_kept_with_its_beginning(task: Path) -> None:
    reply = asked(task, "prints")
    assert isinstance(reply, Proposal)
    assert reply.expected is None
    assert len(log(task)) < HEAD + TAIL + 2000
    assert len(reply.said) < 10_000


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("link", "is not a plain file"),
        ("folder", "is not a plain file"),
        ("pipe", "is not a plain file"),
        ("huge", "is longer"),
        ("bytes", "is not UTF-8"),
    ],
)
def test_only_a_plain_file_of_text_is_taken(task: Path, what: str, problem: str) -> None:
    reply = asked(task, "links", what)
    assert isinstance(reply, Unusable)
    assert reply.reason.startswith(f"train.py {problem}")


def test_a_file_is_not_taken_through_a_folder_that_is_a_link(tmp_path: Path) -> None:
    task = files(tmp_path / "task", "trainer/train.py")
    git(task, "init", "--quiet", "--initial-branch=main")
    git(task, "add", "--all")
    git(task, "commit", "--quiet", "--message=Begin")
    worktree = Worktree.of(task, tmp_path / "run" / "worktrees" / "amber")
    worktree.reset("HEAD")
    assert worktree.take("trainer/train.py", 100) == GENOME.encode()
    (worktree.folder / "trainer").rename(worktree.folder / "other")
    (worktree.folder / "trainer").symlink_to("other")
    with pytest.raises(NotTaken):
        worktree.take("trainer/train.py", 100)
    worktree.reset("HEAD")
    assert not (worktree.folder / "trainer").is_symlink()
    assert isinstance(asked(task, "good"), Proposal)


def test_a_failure_in_the_middle_of_work_is_no_idea_and_its_reason_is_told(task: Path) -> None:
    reply = asked(task, "fails")
    assert isinstance(reply, NoIdea)
    assert reply.failed and reply.reason == "the agent failed: exit code 1: no credit left"


def test_a_failure_after_the_work_was_done_does_not_lose_it(task: Path) -> None:
    reply = asked(task, "fails", "done")
    assert isinstance(reply, Proposal)
    assert reply.idea == "halve RATE"


def test_an_answer_that_is_turned_back_is_mended_in_place(task: Path) -> None:
    def preflight(genome: str) -> str | None:
        return "RATE 0.25 is too large" if "RATE = 0.25" in genome else None

    draft = Mind(agent(task, "good"), preflight).think(request(task))
    assert isinstance(draft, Draft)
    assert draft.genome == GENOME.replace("0.5", "0.125")
    prompt = (task.parent / "run" / "worktrees" / "amber" / ".lineages" / "PROMPT.md").read_text()
    assert "could not be tried: RATE 0.25 is too large" in prompt
    assert "`train.py` holds that attempt" in prompt


def test_an_attempt_survives_that_its_worktree_lost_everything_else(task: Path) -> None:
    asked(task, "good")
    worktree = task.parent / "run" / "worktrees" / "amber"
    (worktree / ".git").unlink()
    reply = agent(task, "good").propose(request(task, GENOME, Turned("", "too large")))
    assert isinstance(reply, Proposal)
    assert reply.genome == GENOME.replace("0.5", "0.125")


def test_a_task_outside_any_repository_has_its_worktree_of_the_runs_own(tmp_path: Path) -> None:
    task = files(tmp_path / "task")
    parent = Branches.open(task, "demo", tmp_path / "run").head()
    reply = agent(task, "good").propose(Request("amber", "Far.", parent, GENOME, None, (), frozenset(), 7))
    assert isinstance(reply, Proposal)
    assert reply.genome == HALVED
    assert not (task / ".git").exists()


def test_a_parent_that_git_does_not_have_is_a_failure_in_words(task: Path) -> None:
    request = Request("amber", "Far.", "c0" * 20, GENOME, None, (), frozenset(), 7)
    reply = agent(task, "good").propose(request)
    assert isinstance(reply, NoIdea)
    assert reply.failed and "git" in reply.reason


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", "needs a command"),
        ("no-such-agent -p {prompt}", "no program 'no-such-agent'"),
        ("cat 'open", "quotation"),
        ("cat - < {prompt_file}", "standard input"),
        ("cat {prompt_file} | tee log", "no shell"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_in_one_line(command: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        Agent(command, "task", "folder")
    assert "\n" not in str(refused.value)


def test_an_agent_travels_to_another_process(task: Path) -> None:
    copy = pickle.loads(pickle.dumps(agent(task, "good")))
    assert isinstance(copy.propose(request(task)), Proposal)


def test_what_a_revisit_is_about_lies_on_the_desk(task: Path) -> None:
    subject = Subject("halve RATE", 3, GENOME, HALVED, "DEPTH has changed since")
    about = Request(
        "amber", "", "c0", GENOME, None, (), frozenset(), 7, task="revisit", subject=subject, drought=40
    )
    read = desk.to_read(about, "train.py", "nothing yet", 60.0, kept=False)
    assert (read["before.py"], read["after.py"]) == (GENOME, HALVED)
    assert "halve RATE" in read["PROMPT.md"] and "DEPTH has changed since" in read["PROMPT.md"]
    assert "a gain for 40 trials" in read["PROMPT.md"]


@given(st.text())
def test_any_note_is_one_printable_line_and_a_finite_number_at_most(note: str) -> None:
    idea = desk.idea_of(note)
    assert idea.words.isprintable() and "\n" not in idea.words
    assert idea.expected is None or abs(idea.expected) < float("inf")
