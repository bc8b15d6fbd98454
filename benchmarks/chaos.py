"""Kills a run's processes at random instants, and sees whether anything is lost or left behind.

    uv run python benchmarks/chaos.py --kills 200 --seed 1

A run of the ten-line task with Ray, real trials and a coding agent among its minds, in a repository of its
own. SIGKILL goes to the scheduler, to one of Ray's actors, to Ray's own daemon, to the fork server, to a
training process, to the examiner, to an agent, or to all of them at one instant, as when the power goes. A
scheduler that is gone is resumed at once, sometimes only to be killed while it starts. What must hold is in
`unharmed.py`; it is checked after every kill and at the end of every round, which is a run of its own with
its own seed. The seed settles victims and delays; the instants depend on the machine as well.

Not covered: what a power cut does to a disk. Linux only.
"""

import contextlib
import itertools
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import cyclopts
import psutil  # type: ignore[import-untyped]
from msgspec import Struct

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import unharmed
from population.journal import read
from population.records import Crashed, Declined, Event, Finished, Lost, Refused, TimedOut
from population.state import replay
from trainer.walls.process import prctl

ROOT = Path(__file__).resolve().parents[1]
HILL = ROOT / "benchmarks" / "tasks" / "hill"
VICTIMS = {  # and how often each is chosen
    "scheduler": 5,
    "everything": 2,
    "raylet": 2,
    "trainer": 3,
    "mind": 3,
    "agent": 1,
    "fork server": 2,
    "training": 3,
    "examiner": 3,
}
POLICIES = ("promise", "round-robin")  # of which the second asks the agent more often
SHORT_LIVED = ("training", "examiner", "agent")
ACTORS = {"trainer": "ray::Trainer", "mind": "ray::Thinker"}  # as Ray calls their processes
FORKS = "trainer/warm/__main__.py"  # a word of the command line of the fork server and all its copies
WORKS_IN = {"fork server": r"", "training": r"\d+-\w{8}", "examiner": r"exam-.*"}  # names of their folders
ENDS = ("scheduler", "everything")  # after these there is no scheduler
EARLY = 0.25  # of the kills that end a scheduler are followed by one while the next one starts
LONGEST_S = 2.5  # before a kill, once the run goes on
STARTING_S = 8.0  # in which a scheduler is starting
TRIALS = 100  # at a time; of many more a policy would spend its first hundred on the baseline
RECOVERY_S = 90.0
PATIENCE_S = 15.0  # for a victim to appear
GONE_S = 20.0  # for the last process to end
FOLLOWS_S = 20.0  # for git to show what the journal says
ROUND = 20  # kills of one run
RUN = "one"
_US = ("-c", "user.name=a", "-c", "user.email=a@b")
_PR_SET_CHILD_SUBREAPER = 36

AGENT = """\
import pathlib, random, re, time
genome = pathlib.Path("train.py")
time.sleep(random.random())
genome.write_text(re.sub(r"(?m)^Y = \\S+", f"Y = {random.uniform(-10, 10):.3f}", genome.read_text()))
print("elsewhere in the valley")
"""


class Plan(Struct, frozen=True):
    """One kill: of whom, how long after the run last went on or, if `early`, after its scheduler's start."""

    victim: str
    after_s: float
    early: bool


class Killed(Struct, frozen=True):
    """What a kill came to. `recovered_s` is None where the next one came first, or nothing did."""

    plan: Plan
    entries: int  # of the journal at that instant
    recovered_s: float | None = None
    came: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()


def plans(seed: str, kills: int) -> list[Plan]:
    """The kills of one run; the last one ends its scheduler, so that a run always ends by being resumed."""
    random = Random(seed)
    made: list[Plan] = []
    for number in range(kills):
        early = bool(made) and made[-1].victim in ENDS and random.random() < EARLY
        names = ENDS if early or number == kills - 1 else tuple(VICTIMS)
        victim = random.choices(names, [VICTIMS[name] for name in names])[0]
        made.append(Plan(victim, random.uniform(0, STARTING_S if early else LONGEST_S), early))
    return made


class Scene:
    """A task in a repository of its own and one run of it, all in `home`; its processes descend from us."""

    def __init__(self, home: Path, seed: str) -> None:
        self.home, self.task, self.runs = home, home / "hill", home / "runs"
        self.folder = self.runs / RUN
        self.journal = self.folder / "journal.jsonl"
        self.said = home / "said"
        self.shared: set[str] = set()  # files in memory that processes of the run had open
        shutil.copytree(HILL, self.task)
        (home / "tmp").mkdir()
        (home / "agent.py").write_text(AGENT)
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "The task"]):
            subprocess.run(["git", *_US, *words], cwd=self.task, check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=self.task, check=True, capture_output=True)
        self.head = head.stdout.decode().strip()
        random = Random(seed)
        self._begin = (
            f"--task={self.task}", f"--name={RUN}", f"--seed={random.getrandbits(31)}",
            f"--policy={random.choice(POLICIES)}",
            f"--trials={TRIALS}", "--lineages=3", "--device=cpu",
            "--proposer=mutate", "--proposer=agent", f"--agent={sys.executable} {home / 'agent.py'}",
        )  # fmt: skip
        self._ours = set(psutil.Process().children(recursive=True))  # and none of the run's
        self.process = self._scheduler(*self._begin)

    def resume(self, *words: str) -> None:
        """Start the scheduler as a person would who finds it gone."""
        exists = (self.folder / "settings.json").exists()
        self.process = self._scheduler(*((f"--resume={RUN}", *words) if exists else self._begin))

    def more(self, trials: int) -> list[str]:
        """What to say when a run is resumed for so many trials more; nothing for none."""
        done = replay(read(self.journal)).finished if self.journal.exists() else 0
        return [f"--trials={done + trials}"] if trials else []

    def processes(self, victim: str = "everything") -> list[psutil.Process]:
        """The run's living processes, or those of them that `victim` names."""
        found = []
        for process in set(psutil.Process().children(recursive=True)) - self._ours:
            with contextlib.suppress(psutil.Error, ChildProcessError):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found += [process] if self._is(process, victim) else []
                elif process.pid != self.process.pid and process.ppid() == os.getpid():
                    os.waitpid(process.pid, os.WNOHANG)  # an orphan that came to us
        return found

    def content(self) -> bytes:
        return self.journal.read_bytes() if self.journal.exists() else b""

    def events(self, after: int) -> list[Event]:
        return [entry.event for entry in read(self.journal)[after:]] if self.journal.exists() else []

    def last_words(self) -> str:
        """The end of what the scheduler said."""
        return (self.said.read_text(errors="replace").strip().splitlines() or [""])[-1]

    def note_shared(self) -> None:
        """Remember what the run's processes have open in /dev/shm."""
        for process in self.processes():
            with contextlib.suppress(OSError):
                for link in Path(f"/proc/{process.pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        self.shared.add(str(link.readlink()))

    def _is(self, process: psutil.Process, victim: str) -> bool:
        words = process.cmdline()
        match victim:
            case "everything":
                return True
            case "scheduler":
                return bool(process.pid == self.process.pid)
            case "raylet":
                return bool(process.name() == "raylet")
            case "trainer" | "mind":
                return any(word.startswith(ACTORS[victim]) for word in words[:1])
            case "agent":
                return any(word.endswith("agent.py") for word in words)
            case "fork server" | "training" | "examiner":
                forked = any(word.endswith(FORKS) for word in words)
                return forked and bool(re.fullmatch(WORKS_IN[victim], Path(process.cwd()).name))
        raise AssertionError(victim)

    def _scheduler(self, *words: str) -> "subprocess.Popen[bytes]":
        own = {"LINEAGES_RUNS": str(self.runs), "TMPDIR": str(self.home / "tmp"), "NO_COLOR": "1"}
        with self.said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "scheduler.py"), *words],
                cwd=self.home,
                env=os.environ | own,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )


def killed(scene: Scene, plan: Plan, random: Random) -> bool:
    """Wait as planned, then until there is a victim, and kill it; false if none came."""
    time.sleep(plan.after_s)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if plan.victim in SHORT_LIVED:
            _wait(lambda: bool(scene.processes(plan.victim)), until - time.monotonic())
            time.sleep(random.uniform(0, 0.3))  # anywhere in a short life
        # It has had its trials, or took its time to see that Ray was gone.
        if scene.process.poll() is not None:
            scene.resume(*scene.more(TRIALS))
        found = scene.processes(plan.victim)
        chosen = found if plan.victim == "everything" else random.sample(found, min(1, len(found)))
        if [process for process in chosen if _kill(process)]:
            return True
        time.sleep(0.01)
    return False


def recovered(scene: Scene, entries: int) -> tuple[float | None, list[str]]:
    """Seconds until the next trial that comes to an end is recorded, and what else happened on the way."""
    began, came = time.monotonic(), list[str]()
    while time.monotonic() < began + RECOVERY_S:
        if (code := scene.process.poll()) is not None:
            came += [f"exit {code}: {scene.last_words()}"] if code not in (0, -signal.SIGKILL) else []
            scene.resume(*scene.more(TRIALS if code == 0 else 0))
        events = scene.events(entries)
        if any(isinstance(event, Finished) for event in events):
            return time.monotonic() - began, came + _told(events)
        time.sleep(0.05)
    return None, [*came, f"it says: {scene.last_words()}"]


def strike(scene: Scene, plan: Plan, hurried: bool, random: Random) -> Killed:
    """Kill, resume, wait until the run goes on (unless the next kill is `hurried`), and check."""
    scene.note_shared()
    if not killed(scene, plan, random):
        return Killed(plan, 0, None, ("nobody to kill",))
    if plan.victim in ENDS:
        scene.process.wait()
    before = scene.content()
    entries = before.count(b"\n")
    wrong = unharmed.journal_kept(scene.journal, before) if before else []
    if plan.victim in ENDS and hurried:
        scene.resume()
        return Killed(plan, entries, None, (), tuple(wrong))
    took_s, came = recovered(scene, entries)
    wrong += [f"no trial ended within {RECOVERY_S:g} s"] if took_s is None else []
    wrong += unharmed.journal_kept(scene.journal, before)
    wrong += in_step(scene) if not wrong else []
    return Killed(plan, entries, took_s, tuple(came), tuple(wrong))


def in_step(scene: Scene) -> list[str]:
    """What is wrong with git while the run goes on, and stays so for some seconds.

    Git follows the journal whenever the loop waits or a training begins, and a look may come in between.
    """
    until = time.monotonic() + FOLLOWS_S
    while wrong := unharmed.git_in_step(scene.task, RUN, scene.journal, settled=False):
        if time.monotonic() > until:
            break
        time.sleep(0.01)
    return wrong


def ended(scene: Scene) -> list[str]:
    """Kill the scheduler a last time, let the run come to its end, and look at all it leaves."""
    _kill(psutil.Process(scene.process.pid)), scene.process.wait()
    scene.resume(*scene.more(3))
    try:
        code = scene.process.wait(2 * RECOVERY_S)
    except subprocess.TimeoutExpired:
        return [f"it does not end: {scene.last_words()}"]
    wrong = [] if code == 0 else [f"exit {code}: {scene.last_words()}"]
    _wait(lambda: not scene.processes(), GONE_S)
    wrong += [f"still running: {' '.join(process.cmdline())}" for process in scene.processes()]
    wrong += unharmed.journal_kept(scene.journal, b"")
    wrong += unharmed.git_in_step(scene.task, RUN, scene.journal, settled=True)
    wrong += unharmed.git_sound(scene.task, scene.head)
    wrong += unharmed.nothing_left(scene.folder, scene.task)
    wrong += unharmed.exported(scene.folder)
    return wrong + [
        f"left: {path}" for path in scene.shared if path.startswith("/dev/shm/") and Path(path).exists()
    ]


@contextlib.contextmanager
def scene_of(seed: str) -> Iterator[Scene]:
    """A scene in a temporary folder, which is removed at the end with all that still runs there."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    home = Path(tempfile.mkdtemp(prefix="ch"))  # short: Ray's sockets have long names and a limit of 107
    scene = Scene(home, seed)
    try:
        yield scene
    finally:
        while left := scene.processes():
            for process in left:
                _kill(process)
        scene.process.wait()
        shutil.rmtree(home, ignore_errors=True)


def trouble(seed: str, schedule: Sequence[Plan], tell: Callable[[Killed], None]) -> list[str]:
    """One run with these kills: what was violated, at a kill or at its end."""
    random = Random(f"{seed} victims")
    with scene_of(seed) as scene:
        _wait(lambda: bool(scene.content()), RECOVERY_S)
        wrong: list[str] = []
        for plan, following in itertools.zip_longest(schedule, schedule[1:]):
            found = strike(scene, plan, following is not None and following.early, random)
            tell(found)
            wrong += found.violations
        return wrong + ended(scene)


def table(kills: Sequence[Killed]) -> str:
    """Kills by victim: how many, seconds to recover (median, worst), what came of them."""
    rows = [f"{'victim':11} kills  recovered  median s  worst s  what was recorded"]
    for victim in VICTIMS:
        ours = [one for one in kills if one.plan.victim == victim and "nobody to kill" not in one.came]
        took = [one.recovered_s for one in ours if one.recovered_s is not None]
        came = Counter(word for one in ours for word in one.came)
        times = f"{statistics.median(took):8.1f}  {max(took):7.1f}" if took else f"{'–':>8}  {'–':>7}"
        said = ", ".join(f"{count} {word}" for word, count in came.most_common(6))
        rows.append(f"{victim:11} {len(ours):5d}  {len(took):9d}  {times}  {said}")
    return "\n".join(rows)


def main(kills: int = 20, seed: int = 1, round_of: int = ROUND, only: int | None = None) -> None:
    """Print a line for each kill, then the table; exit with 1 if anything was violated.

    `only` repeats one round by its number.
    """
    done: list[Killed] = []
    struck = wrong = 0
    for number in itertools.count() if only is None else [only]:
        if struck >= kills and only is None:
            break
        name, size = f"{seed} {number}", round_of if only is not None else min(round_of, kills - struck)
        for violation in trouble(name, plans(name, size), lambda one: _tell(done, one)):
            wrong += 1
            print(f"VIOLATED in round {number} of seed {seed}: {violation}", flush=True)
        struck = sum("nobody to kill" not in one.came for one in done)
    print(f"\n{table(done)}\n\n{struck} kills, {wrong} violations", flush=True)
    sys.exit(1 if wrong else 0)


def _tell(done: list[Killed], one: Killed) -> None:
    done.append(one)
    when = f"{one.plan.after_s:.2f} s{' into its start' if one.plan.early else ''}"
    took = "" if one.recovered_s is None else f", recovered in {one.recovered_s:.1f} s"
    came = "; ".join((*one.came, *(f"VIOLATED: {wrong}" for wrong in one.violations)))
    print(f"{len(done):4d} {one.plan.victim:10} after {when}, entry {one.entries}{took}: {came}", flush=True)


def _told(events: Sequence[Event]) -> list[str]:
    """What befell the run, in a word or two an event."""
    said = []
    for event in events:
        match event:
            case Lost():
                said.append("trial lost")
            case Declined(failed=True):
                said.append("mind lost")
            case Finished(outcome=Crashed(reason=reason)):
                said.append(f"crashed: {reason}")
            case Finished(outcome=Refused() | TimedOut() as outcome):
                said.append(f"blamed on the candidate: {outcome}")
            case _:
                pass
    return said


def _kill(process: psutil.Process) -> bool:
    """Whether it was still there to be killed."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _wait(happens: Callable[[], bool], limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not happens() and time.monotonic() < until:
        time.sleep(0.01)


if __name__ == "__main__":
    cyclopts.run(main)
