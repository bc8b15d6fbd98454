"""How long the GPU waits for a decision on a long run: `uv run python benchmarks/decisions.py`.

One run of `promise` is really played, on a world whose ideas never run out, with 8 lineages and in three
sessions. Then its journal is cut off after some of the trials, read back, and gone on with: each decision is
timed at the very state it was taken in, with nothing remembered about the trial that has just ended.
Playing takes a quarter of an hour; `--trials 1000` a minute.
"""

import gc
import math
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Final

import cyclopts
from msgspec import Struct

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.play import Arm, Simulated, Unwatched, carried_out, settings_of
from benchmarks.worlds.pools import BASELINE, EQUAL, MBPB
from population import notebook
from population.beginning.opening import PATIENCE_S
from population.deciding.asking import Errand
from population.foresight import foreseen
from population.journal import read
from population.keeping import runs
from population.lineage import Mind
from population.policy import Facts, decide
from population.proposals import Proposal, Request
from population.records import Assigned, Completed, Crashed, Entry, Finished, Judged, Outcome
from population.repository.genomes import Shelf
from population.state import Population, apply, replay
from trainer.task import Task

SESSIONS: Final = 3
LAST: Final = 20  # trials of a run whose decisions are timed
_ARM: Final = Arm("promise", "promise", lineages=8, failed_s=300.0)


class Timed(Struct, frozen=True):
    """What a run of so many trials takes, in milliseconds."""

    trials: int
    bases: int  # commits that something was built on
    decisions: list[float]  # each call of `decide`
    waits: list[float]  # all calls between the end of a trial and the start of the next
    requests: list[float]  # to say what has been tried, for a mind
    looks: list[float]  # ahead, to what may come next, while a trial is under way
    replay: float  # to read the journal and fold it


class Urns:
    """A world of constants that may be any whole number; what a number does is drawn once, by itself.

    As in a real search gains become rare, since the best draw of each constant so far is the one to beat.
    Effects are shaped like those of the pools.
    """

    briefs = ("one", "two", "three", "four")
    sigma = EQUAL.sigma * MBPB

    def __init__(self, seed: int = 0, constants: int = 40) -> None:
        self.seed = seed
        self.genome = "".join(f"K{i} = 0\n" for i in range(constants))
        self.truth = lru_cache(100_000)(self._truth)

    def proposer(self, brief: str) -> "Urns":
        return self

    def mind(self, lineage: str, brief: str, proposer: str) -> Mind:
        return Mind(self)

    def propose(self, request: Request) -> Proposal:
        """Give one constant another number."""
        rng = Random(request.seed)
        name, number = rng.choice(_NAME.findall(request.genome)), rng.randrange(1, 10**6)
        text = re.sub(rf"^{name} = .*$", f"{name} = {number}", request.genome, flags=re.MULTILINE)
        return Proposal(text, f"{name} = {number}")

    def train(self, genome: str, seed: int) -> Outcome:
        luck = Random(f"{self.seed} {seed} {genome}")
        if luck.random() < EQUAL.broken:
            return Crashed("out of memory")
        return Completed(luck.gauss(self.truth(genome), self.sigma))

    def _truth(self, genome: str) -> float:
        return BASELINE + MBPB * sum(_effect(f"{self.seed} {line}") for line in genome.splitlines())


class Recalled(Shelf):
    """Genomes of a run whose journal is all that is left of it: their constants."""

    def __init__(self, population: Population) -> None:
        super().__init__()
        self._population = population

    def text(self, commit: str) -> str:
        knobs = self._population.candidates[self._population.commits[commit]].knobs
        return "".join(f"{name} = {number}\n" for name, number in knobs.items())


def main(trials: int = 10_000) -> None:
    """Play so many trials, and print a line for the run when it had a tenth of them, a third and all."""
    with tempfile.TemporaryDirectory() as home:
        journal = play(Path(home), trials)
        print(f"{'':16}{'decide':>16}{'GPU waits':>16}{'request':>16}{'look ahead':>16}{'replay':>10}")
        print(f"{'trials':>8}{'bases':>8}" + f"{'median':>8}{'worst':>8}" * 4 + f"{'ms':>10}")
        for count in (max(trials // 10, LAST + 1), max(trials // 3, LAST + 1), trials):
            print(_row(measure(journal, count)), flush=True)


def play(home: Path, trials: int) -> Path:
    """The journal of a run of at least so many trials, played in sessions of equal length."""
    world, shelf, folder = Urns(), Shelf(), runs.RunFolder(home)
    baseline = shelf.commit(world.genome, ("head",), "Baseline", 0.0)
    hours = (math.ceil(trials / SESSIONS) + 0.5) * _ARM.trial_s / 3600
    settings = _settings(world, baseline, hours)
    watcher = Unwatched(world.truth)
    for _ in range(SESSIONS):
        machine = Simulated(world, _ARM)
        carried_out(settings, folder, shelf, machine, watcher, world.mind, machine)
    return folder.journal


def measure(journal: Path, trials: int) -> Timed:
    """Times of a run as it was when it had so many trials, over the last of them."""
    entries = read(journal)
    begun = [entry.number for entry in entries if isinstance(entry.event, Assigned)]
    before, end = begun[trials - LAST - 1], begun[trials - 1]
    with tempfile.TemporaryDirectory() as home:
        cut = Path(home) / "journal.jsonl"
        cut.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:end]))
        folded = timed(lambda: replay(read(cut)))
    return _gone_on(replay(entries[:before]), entries[before:end], folded)


def _gone_on(population: Population, rest: Sequence[Entry], folded: float) -> Timed:
    """Go on with a run to the end of `rest`, and time what was decided."""
    rules = runs.rules(_settings(Urns(), "", hours=None), PATIENCE_S, overlaps=True)
    decisions: list[float] = []
    waits: list[float] = []
    requests: list[float] = []
    looks: list[float] = []
    genomes = Recalled(population)
    gc.collect()  # a run grew slowly: its garbage collector is not behind by a whole journal
    for entry in rest:
        apply(population, entry)
        if not population.running:
            took = timed(lambda: decide(population, rules, Facts()))
            decisions.append(took)
            if isinstance(entry.event, Finished):
                waits.append(0.0)
            waits[-1] += took
        if isinstance(entry.event, Assigned):
            looks.append(timed(lambda: foreseen(population, rules, Facts(), genomes)))
        if isinstance(entry.event, Judged):
            line = population.living[0]
            asked = partial(notebook.request, population, line, line.tip, "", 0, Errand(), lambda commit: "")
            requests.append(timed(asked))
    trials = len(population.trials)
    return Timed(trials, len(population.bases), decisions, waits, requests, looks, folded)


def _settings(world: Urns, baseline: str, hours: float | None) -> runs.Settings:
    return settings_of(
        _ARM,
        task=Task("", "", "score", _ARM.trial_s, None, "", "h100", ""),
        briefs=tuple(runs.Brief(name, name) for name in world.briefs),
        proposers=("world",),
        baseline=baseline,
        seed=0,
        trials=None,
        hours=hours,
    )


def timed(work: Callable[[], object]) -> float:
    """How many milliseconds `work` takes."""
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def _row(found: Timed) -> str:
    times = found.decisions, found.waits, found.requests, found.looks
    pairs = "".join(f"{statistics.median(some):8.1f}{max(some):8.1f}" for some in times)
    return f"{found.trials:8,}{found.bases:8,}{pairs}{found.replay:10.0f}"


@lru_cache(100_000)
def _effect(drawn: str) -> float:
    """In mbpb, of one constant's line with the world's seed; nothing of what stood there to begin with."""
    if drawn.endswith(" = 0"):
        return 0.0
    rng = Random(drawn)
    if rng.random() < EQUAL.gains:
        return -EQUAL.gain * math.exp(EQUAL.gain_spread * rng.gauss(0.0, 1.0))
    return EQUAL.loss * math.exp(EQUAL.loss_spread * rng.gauss(0.0, 1.0))


_NAME: Final = re.compile(r"^(\w+) = ", re.MULTILINE)


if __name__ == "__main__":
    cyclopts.run(main)
