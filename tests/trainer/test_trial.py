"""Whatever a candidate does is an outcome, is over in time, and leaves nothing behind."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import until
from trainer.examining.examiner import ExamFailed
from trainer.outcome import Completed, Crashed, Progress, Refused, Report, Stopped, TimedOut
from trainer.running.log import HEAD, TAIL
from trainer.running.telemetry import Step, parse
from trainer.task import Task, open_task
from trainer.training import GRACE_FRACTION
from trainer.trial import Order, clear_scratch, examine, run_trial
from trainer.warm.harness import Warm

ROOT = Path(__file__).parents[2]
HILL = ROOT / "benchmarks" / "tasks" / "hill"

PREPARE = """
METRIC = "loss"
BUDGET_S = 10
def examine(submission, serve):
    return {"loss": float((submission / "loss").read_text())}
"""
SUBMIT = """
import os, pathlib, sys, time
submission = pathlib.Path(os.environ["LINEAGES_SUBMISSION"])
(submission / "loss").write_text("0.5")
"""
TELL = """
telemetry = int(os.environ["LINEAGES_TELEMETRY"])
"""
CLOCK = """
os.write(telemetry, b'{"event": "clock"}\\n')
"""
STARTUP = "STARTUP_S = 60\n"


def task_in(folder: Path, prepare: str = PREPARE, budget_s: float | None = None) -> Task:
    folder.mkdir(exist_ok=True)
    (folder / "prepare.py").write_text(prepare)
    (folder / "train.py").write_text("")
    (folder / "program.md").write_text("Lower it.")
    return open_task(folder, "cpu", budget_s)


class Lab:
    """Runs genomes on a tiny task whose score is a number in a file."""

    def __init__(self, folder: Path, warm: Warm | None) -> None:
        self.warm = warm
        self.scratch, self.log, self.task_folder = folder / "scratch", folder / "t.log", folder / "task"
        self.progress: list[Progress] = []

    def order(self, genome: str, prepare: str = PREPARE, budget_s: float | None = None) -> Order:
        task = task_in(self.task_folder, prepare, budget_s)
        return Order(1, genome, 7, task, str(self.log), str(self.scratch))

    def said(self, what: str) -> int | None:
        """The number a candidate printed after a word: it can write nowhere that outlives its trial."""
        found = re.search(rf"^{what} (\d+)$", self.log.read_text(), re.MULTILINE)
        return int(found[1]) if found else None

    def run(self, genome: str, prepare: str = PREPARE, budget_s: float | None = None) -> Report:
        return run_trial(self.order(genome, prepare, budget_s), self.progress.append, self.warm)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the budget is grace enough, however short it is."""
    monkeypatch.setattr("trainer.training.LEAST_GRACE_S", 0.0)


@pytest.fixture
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are looked at often."""
    monkeypatch.setattr("trainer.running.watch.PULSE_S", 0.05)


FORKED, STARTED = "forked", "started"
both_ways = pytest.mark.parametrize("lab", [FORKED, STARTED], indirect=True)


@pytest.fixture
def lab(tmp_path: Path, warm: Warm, request: pytest.FixtureRequest) -> Lab:
    return Lab(tmp_path, warm if getattr(request, "param", FORKED) == FORKED else None)


def environ_of(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except psutil.Error:
        return {}


def gone(pid: int | None) -> bool:
    """Whether a process is dead, or at least a zombie."""
    assert pid is not None, "it never said its number"
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@both_ways
def test_a_submission_is_scored_and_nothing_is_left(lab: Lab) -> None:
    report = lab.run(SUBMIT)
    assert report.outcome == Completed(0.5, {"loss": 0.5})
    assert list(lab.scratch.iterdir()) == []


def test_the_toy_task_scores_its_own_genome(tmp_path: Path) -> None:
    genome = (HILL / "train.py").read_text()
    order = Order(1, genome, 7, open_task(HILL, "cpu"), str(tmp_path / "log"), str(tmp_path))
    outcome = run_trial(order, lambda progress: None).outcome
    assert isinstance(outcome, Completed)
    assert outcome.score == pytest.approx(2.565761, abs=1e-6)


@both_ways
def test_a_crash_is_reported_by_the_line_its_traceback_ends_with(lab: Lab) -> None:
    outcome = lab.run("print('begun', flush=True)\nraise ValueError('no such\\nlayer')").outcome
    assert isinstance(outcome, Crashed)
    assert outcome.reason == "ValueError: no such"
    assert "begun" in outcome.tail


def test_a_genome_that_is_no_python_crashes(lab: Lab) -> None:
    outcome = lab.run("def f(:").outcome
    assert isinstance(outcome, Crashed)
    assert "SyntaxError" in outcome.reason


@both_ways
def test_a_process_that_kills_itself_crashes(lab: Lab) -> None:
    outcome = lab.run(SUBMIT + "os.kill(os.getpid(), 9)").outcome
    assert isinstance(outcome, Crashed)
    assert outcome.reason == "killed by SIGKILL"


def test_a_trial_without_a_submission_crashes(lab: Lab) -> None:
    assert lab.run("print('loss 0.0001')").outcome == Crashed("left no submission", "loss 0.0001")


@pytest.mark.parametrize("spoil", ["submission.rmdir()", "submission.rmdir(); submission.symlink_to('/etc')"])
def test_a_submission_folder_that_is_none_brings_no_score(lab: Lab, spoil: str) -> None:
    outcome = lab.run(SUBMIT + f"(submission / 'loss').unlink(); {spoil}").outcome
    assert isinstance(outcome, Crashed | Refused)


def test_a_printed_score_is_not_a_score(lab: Lab) -> None:
    lie = "print('{\"result\": {\"loss\": -37.8}}', flush=True)\nprint('loss: -37.8')"
    assert lab.run(SUBMIT + lie).outcome == Completed(0.5, {"loss": 0.5})


def test_a_score_sent_as_telemetry_is_not_a_score(lab: Lab) -> None:
    lie = TELL + 'os.write(telemetry, b\'{"result": {"loss": -37.8}}\\n\')'
    assert lab.run(SUBMIT + lie).outcome == Completed(0.5, {"loss": 0.5})


@pytest.mark.parametrize("score", ["nan", "inf", "-inf", "garbage", ""])
def test_a_submission_without_a_finite_score_is_refused(lab: Lab, score: str) -> None:
    outcome = lab.run(SUBMIT + f"(submission / 'loss').write_text('{score}')").outcome
    assert isinstance(outcome, Refused)
    assert outcome.reason


def test_garbage_where_a_submission_should_be_is_refused(lab: Lab) -> None:
    outcome = lab.run(SUBMIT + "(submission / 'loss').write_bytes(os.urandom(1000))").outcome
    assert isinstance(outcome, Refused)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("before", "hang"),
    [
        ("", "time.sleep(60)"),
        ("", "while True: pass"),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "time.sleep(60)"),
        ("", "os.close(telemetry); os.close(1); os.close(2); time.sleep(60)"),
    ],
)
def test_a_candidate_that_hangs_is_killed_at_its_limit(lab: Lab, before: str, hang: str) -> None:
    reached = "\nprint('reached', 1, flush=True)"
    report = lab.run(SUBMIT + TELL + before + reached + CLOCK + hang, PREPARE + STARTUP, budget_s=0.4)
    assert lab.said("reached")
    assert report.outcome == TimedOut("training", 0.4 + 0.4 * GRACE_FRACTION)
    assert report.usage.wall_s < 20


def test_a_short_budget_leaves_time_to_submit_and_exit(lab: Lab) -> None:
    assert lab.run(SUBMIT + "time.sleep(0.5)", budget_s=0.1).outcome == Completed(0.5, {"loss": 0.5})


@both_ways
def test_a_candidate_that_never_starts_its_clock_is_killed_at_the_start_up_limit(lab: Lab) -> None:
    report = lab.run("import time; time.sleep(60)", PREPARE + "STARTUP_S = 0.4")
    assert report.outcome == TimedOut("startup", 0.4)


@pytest.mark.usefixtures("impatient")
def test_the_budget_runs_from_the_clock(lab: Lab) -> None:
    genome = SUBMIT + TELL + "time.sleep(0.5)" + CLOCK + "time.sleep(60)"
    report = lab.run(genome, PREPARE + STARTUP, budget_s=0.4)
    assert report.outcome == TimedOut("training", 0.4 + 0.4 * GRACE_FRACTION)
    assert report.usage.startup_s > 0.5
    assert {p.phase for p in lab.progress} == {"startup", "training"}


@pytest.mark.usefixtures("impatient")
def test_a_second_clock_buys_no_time(lab: Lab) -> None:
    genome = SUBMIT + TELL + "while True: time.sleep(0.05)" + CLOCK.replace("\n", "; ", 1)
    report = lab.run(genome, PREPARE + STARTUP, budget_s=0.4)
    assert report.outcome == TimedOut("training", 0.4 + 0.4 * GRACE_FRACTION)
    assert report.usage.training_s > 0.3


def test_an_exam_that_takes_too_long_times_out(lab: Lab) -> None:
    slow = 'import time\nMETRIC, BUDGET_S = "loss", 1\ndef examine(submission, serve): time.sleep(60)'
    order = lab.order("", slow)
    lab.scratch.mkdir()
    outcome, _ = examine(order, lab.scratch, lab.task_folder, lab.log, lab.progress.append, 0.5)
    assert outcome == TimedOut("exam", 0.5)
    assert lab.progress[-1].phase == "exam"


FORK = """
if (pid := os.fork()) == 0:
    {child}
    time.sleep(60)
    os._exit(0)
print("child", pid, flush=True)
"""


@pytest.mark.parametrize("child", ["pass", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_forked_child_that_holds_the_output_open_is_killed(lab: Lab, child: str) -> None:
    report = lab.run(SUBMIT + FORK.format(child=child))
    assert isinstance(report.outcome, Completed)
    assert report.usage.wall_s < 20
    assert gone(lab.said("child"))


@both_ways
def test_a_daemon_that_left_its_session_unseen_is_killed(lab: Lab) -> None:
    daemon = """
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        print("daemon", os.getpid(), flush=True)
        os.write(tell, b"!")
        time.sleep(60)
    os._exit(0)
os.read(ready, 1)
"""
    assert isinstance(lab.run(SUBMIT + daemon).outcome, Completed)
    assert gone(lab.said("daemon"))


# Started: for forked processes /proc shows the environment of what they were forked from.
@pytest.mark.parametrize("lab", [STARTED], indirect=True)
def test_daemons_beget_daemons_in_vain(lab: Lab) -> None:
    relay = """
def pass_on():
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        time.sleep(0.02)
if os.fork() == 0:
    pass_on()
time.sleep(0.2)
"""
    assert isinstance(lab.run(SUBMIT + relay).outcome, Completed)
    inside = str(lab.scratch)
    for _ in range(5):  # none of them lives for long
        assert not [p for p in psutil.process_iter() if environ_of(p).get("HOME", "").startswith(inside)]


@both_ways
@pytest.mark.usefixtures("impatient")
def test_children_die_with_a_candidate_that_is_killed(lab: Lab) -> None:
    fork = FORK.format(child="os.setsid()")
    report = lab.run(SUBMIT + TELL + fork + CLOCK + "time.sleep(60)", PREPARE + STARTUP, budget_s=0.4)
    assert isinstance(report.outcome, TimedOut)
    assert gone(lab.said("child"))


def test_endless_output_is_drained_but_not_kept(lab: Lab) -> None:
    genome = "print('first')\nfor _ in range(64): print('x' * 2**20)\nprint('last')\n" + SUBMIT
    assert isinstance(lab.run(genome).outcome, Completed)
    text = lab.log.read_text()
    assert len(text) < HEAD + TAIL + 1000
    assert text.startswith("first") and text.endswith("last\n") and "bytes left out" in text


def test_the_tail_of_a_crash_can_be_shown(lab: Lab) -> None:
    outcome = lab.run(r"print('\x1b[2J\x00' + 'y' * 100000); raise SystemExit('\x1b[31m sorry')").outcome
    assert isinstance(outcome, Crashed)
    assert outcome.reason == "exit code 1: [31m sorry"
    assert len(outcome.tail) < 5000
    assert outcome.tail.replace("\n", "").isprintable()


@pytest.mark.usefixtures("lively")
def test_what_a_candidate_says_of_itself_reaches_the_watcher(lab: Lab) -> None:
    say = TELL + 'os.write(telemetry, b\'{"event": "step", "loss": 2.5, "steps": 3, "tokens": 96}\\n\')'
    report = lab.run(SUBMIT + say + "\ntime.sleep(0.5)")
    assert (report.usage.steps, report.usage.trained_tokens) == (3, 96)
    assert (2.5, 3) in {(p.loss, p.steps) for p in lab.progress}


TELLS = (
    SUBMIT
    + TELL
    + """
for _ in range(22):
    os.write(telemetry, b'{"event": "step", "loss": 5.0}\\n')
    time.sleep(0.1)
"""
)


@pytest.mark.usefixtures("lively")
def test_a_training_whose_loss_goes_beyond_its_limit_is_stopped_there(lab: Lab) -> None:
    order = msgspec.structs.replace(lab.order(TELLS, budget_s=2.0), limits=(None,) * 4 + (4.0,))
    report = run_trial(order, lab.progress.append, lab.warm)
    assert isinstance(report.outcome, Stopped) and 0.25 <= report.outcome.fraction < 1
    assert "the loss is 5.000, and from above 4.000" in report.outcome.reason
    assert report.usage.exam_s == 0 and report.usage.curve[4] == 5.0


def test_a_training_within_its_limits_goes_to_its_end(lab: Lab) -> None:
    order = msgspec.structs.replace(lab.order(TELLS, budget_s=2.0), limits=(6.0,) * 20)
    assert run_trial(order, lab.progress.append, lab.warm).outcome == Completed(0.5, {"loss": 0.5})


@pytest.mark.parametrize(
    "noise",
    [
        "os.close(telemetry)",
        "os.write(telemetry, os.urandom(10000))",
        "for _ in range(100): os.write(telemetry, b'x' * 2**16)",
        'os.write(telemetry, b\'[]\\n{}\\nnull\\n{"event": "step", "loss": NaN, "steps": -1}\\n\')',
        "os.write(telemetry, b'{\"event\": \"step\", \"x\": ' + b'[' * 3000 + b'\\n')",
    ],
)
def test_telemetry_that_is_none_harms_nobody(lab: Lab, noise: str) -> None:
    report = lab.run(SUBMIT + TELL + noise)
    assert isinstance(report.outcome, Completed)
    assert report.usage.steps == 0


@given(st.binary(max_size=200))
def test_any_line_of_telemetry_can_be_read(line: bytes) -> None:
    event = parse(line)
    assert not isinstance(event, Step) or event.steps >= 0


@both_ways
def test_a_candidate_sees_no_key_of_its_parent(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("LINEAGES_API_KEY", "sk-secret")
    lab.run("import os; print(sorted(os.environ)); print(os.environ)")
    text = lab.log.read_text()
    assert "LINEAGES_SEED" in text
    assert "sk-secret" not in text and "API_KEY" not in text


def test_a_candidate_is_told_its_seed_budget_and_task(lab: Lab) -> None:
    names = ("LINEAGES_SEED", "LINEAGES_BUDGET_S", "LINEAGES_TASK")
    lab.run(f"import os; print([os.environ[name] for name in {names}])")
    assert str(["7", "10.0", str(lab.task_folder)]) in lab.log.read_text()


def test_the_exam_runs_the_pinned_prepare_and_the_harness_copy_of_the_genome(lab: Lab) -> None:
    prepare = PREPARE.replace("float((submission", "len((submission").replace('"loss").', '"train.py").')
    genome = (
        SUBMIT
        + """
pathlib.Path("prepare.py").write_text("def examine(s, serve): return {'loss': -1.0}")
pathlib.Path("train.py").write_text("")
(submission / "train.py").write_text("")
(submission / "prepare.py").write_text("")
"""
    )
    assert lab.run(genome, prepare).outcome == Completed(len(genome), {"loss": len(genome)})


@both_ways
@pytest.mark.usefixtures("lively")
def test_memory_is_measured(lab: Lab) -> None:
    report = lab.run(SUBMIT + "x = bytearray(200 * 2**20)\ntime.sleep(0.5)")
    assert 200 < report.usage.peak_memory_mb < 400


HARNESS = """
import msgspec, sys
from trainer.trial import Order, run_trial
report = run_trial(msgspec.json.decode(sys.argv[1], type=Order), lambda progress: None)
print(msgspec.json.encode(report).decode())
"""
UNPRIVILEGED = """
import ctypes, os, sys
for capability in range(64):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, so that exec drops it
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def harness(order: Order) -> list[str]:
    """The command that runs a trial in a process of its own."""
    return [sys.executable, "-c", HARNESS, msgspec.json.encode(order).decode()]


def unprivileged(order: Order) -> list[str]:
    """The same without privileges, even if these tests are run by root."""
    return [sys.executable, "-c", UNPRIVILEGED, *harness(order)[1:]]


def run_apart(command: list[str]) -> Report:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    return msgspec.json.decode(ended.stdout, type=Report)


@pytest.mark.parametrize(
    "resist",
    [
        "for _ in range(1200): os.mkdir('d'); os.chdir('d')",
        "os.mkdir('locked'); open('locked/f', 'w'); os.chmod('locked', 0)",
        "os.mkdir('locked'); os.umask(0o777); os.mkdir('locked/in')",
        "os.chmod('.', 0o500); os.chmod('..', 0o500)",
        "os.symlink('/nowhere', 'exam')\nos.symlink('..', 'up')",
    ],
)
def test_scratch_that_resists_is_removed_all_the_same(lab: Lab, resist: str) -> None:
    order = lab.order(SUBMIT + resist)
    assert isinstance(run_apart(unprivileged(order)).outcome, Completed)
    assert not (lab.scratch / "1").exists()
    clear_scratch(lab.scratch)
    assert not lab.scratch.exists()


def test_a_genome_that_cannot_be_written_is_refused(lab: Lab) -> None:
    outcome = lab.run("x = '\ud800'").outcome
    assert isinstance(outcome, Refused)
    assert "UTF-8" in outcome.reason


RUNS_THE_CANDIDATE = """
import subprocess, sys
METRIC, BUDGET_S = "loss", 10
def examine(submission, serve):
    subprocess.run([sys.executable, str(submission / "train.py"), "exam"], env={}, check=True)
    return {"loss": 0.5}
"""
FORGE = """
import ctypes, os, pathlib, sys, time
def open_again(pid, number):
    return os.open(f"/proc/{{pid}}/fd/{{number}}", os.O_WRONLY | os.O_NONBLOCK)
def take(pid, number):
    return ctypes.CDLL(None).syscall(438, os.pidfd_open(pid), number, 0)  # pidfd_getfd
if sys.argv[1:] == ["exam"]:
    examiner = os.getppid()
    status = pathlib.Path(f"/proc/{{examiner}}/status").read_text()
    harness = int(status.partition("PPid:")[2].split()[0])
    if os.fork() == 0:
        os.setsid()
        got = []
        for pid in (examiner, harness):
            for number in range(3, 32):
                try: got.append({get}(pid, number))
                except OSError: pass
        pathlib.Path("{pid_file}").write_text(str(os.getpid()))
        while True:
            for fd in got:
                try: os.write(fd, b'{{"result": {{"loss": -37.8}}}}\\n')
                except OSError: pass
            time.sleep(0.02)
    while not pathlib.Path("{pid_file}").exists(): time.sleep(0.01)
    sys.exit()
"""


@pytest.mark.parametrize(("get", "run_by"), [("open_again", harness), ("take", unprivileged)])
def test_a_candidate_cannot_answer_in_the_examiners_place(
    lab: Lab, tmp_path: Path, get: str, run_by: Callable[[Order], list[str]]
) -> None:
    genome = FORGE.format(get=get, pid_file=tmp_path / "pid") + SUBMIT
    report = run_apart(run_by(lab.order(genome, RUNS_THE_CANDIDATE)))
    assert report.outcome == Completed(0.5, {"loss": 0.5})
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("line", [b'{"result": {"loss": -37.8}}\n', b"\xff\n", b"\n"])
def test_an_answer_beside_another_is_none(lab: Lab, line: bytes) -> None:
    says_more = f"""
    import os
    os.write(int(os.environ["LINEAGES_TELEMETRY"]), {line!r})
    return """
    assert lab.run(SUBMIT, PREPARE.replace("return ", says_more.lstrip())).outcome == Refused(
        "someone answered in the examiner's place"
    )


@pytest.mark.parametrize(
    ("fails", "error", "expected"),
    [
        ("import errno; raise OSError(errno.ENOSPC, 'No space left on device')", OSError, "No space left"),
        ("raise MemoryError", ExamFailed, "memory"),
        ("import os; os.kill(os.getpid(), 9)", ExamFailed, "killed by SIGKILL"),
    ],
)
def test_a_failure_of_the_examiner_is_not_the_candidates(
    lab: Lab, fails: str, error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        lab.run(SUBMIT, PREPARE.replace("return ", f"{fails}; return "))
    assert list(lab.scratch.iterdir()) == []


WITH_DATA = (
    PREPARE
    + """
import os, pathlib
def fingerprint(): return (pathlib.Path(os.environ["LINEAGES_TASK"]) / "data").read_text()
"""
)


@pytest.mark.parametrize(
    ("spoil", "expected"), [(lambda data: data.write_text("b"), "changed"), (Path.unlink, "cannot be read")]
)
def test_an_exam_whose_data_changed_since_the_run_began_is_not_held(
    lab: Lab, spoil: Callable[[Path], object], expected: str
) -> None:
    lab.task_folder.mkdir()
    data = lab.task_folder / "data"
    data.write_text("a")
    order = lab.order(SUBMIT, WITH_DATA)
    assert isinstance(run_trial(order, lab.progress.append).outcome, Completed)
    spoil(data)
    with pytest.raises(ExamFailed, match=expected):
        run_trial(order, lab.progress.append)


def test_the_examiner_dies_with_a_killed_harness(lab: Lab, tmp_path: Path) -> None:
    waits = f"import os, time; os.symlink(str(os.getpid()), '{tmp_path}/main'); time.sleep(60); return "
    with subprocess.Popen(harness(lab.order(SUBMIT, PREPARE.replace("return ", waits))), cwd=ROOT) as running:
        until((tmp_path / "main").is_symlink)
        running.kill()
    until(lambda: gone(int(str((tmp_path / "main").readlink()))))


def test_a_candidate_dies_with_a_killed_harness_and_its_scratch_can_be_cleared(lab: Lab) -> None:
    fork = FORK.format(child="os.setsid()")
    order = lab.order(SUBMIT + fork + "print('main', os.getpid(), flush=True); time.sleep(60)")
    lab.log.touch()
    with subprocess.Popen(harness(order), cwd=ROOT) as running:
        until(lambda: lab.said("main") is not None)
        running.kill()
    until(lambda: gone(lab.said("main")) and gone(lab.said("child")))
    clear_scratch(lab.scratch)
    assert not lab.scratch.exists()


@both_ways
def test_no_descriptor_stays_open(lab: Lab) -> None:
    lab.run(SUBMIT)
    before = len(list(Path("/proc/self/fd").iterdir()))
    lab.run(SUBMIT)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
