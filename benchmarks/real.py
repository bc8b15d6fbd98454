"""Short real trainings: the repository's own task, on CPU, one at a time, processes and sandbox as ever.

There is no true score, and so nothing that a reported interval should cover. The genome a search reports and
the first one are measured again, with seeds that no search uses, and in turn, so that a machine that gets
slower is unfair to neither.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from benchmarks.play import Arm, Played, Unwatched, carried_out, kept, settings_of
from population import evidence, genome
from population.backend import Inline
from population.beginning.minds import OPTIMISERS
from population.keeping import runs
from population.keeping.locks import hold_device
from population.lineage import Mind
from population.reckoning.claim import claim
from population.repository.genomes import Shelf
from population.state import Population
from trainer.hardware import detect, sizing
from trainer.outcome import Completed, Progress
from trainer.task import Task, genome_path, open_task
from trainer.trial import Order, run_trial

ROOT: Final = Path(__file__).resolve().parents[1]

_FRESH: Final = 2  # trials of each genome in the end
_ATTEMPTS: Final = 3  # at each, should one fail
_SEED: Final = 1_000_000  # of the first fresh trial


def play(arm: Arm, budget: float | None, seed: int, trials: int) -> Played:
    """Search this repository's task for so many trials of `budget` seconds, the task's own if None.

    The seed says which sampler a single lineage has.

    Raises BadInput if another scheduler uses the CPU.
    """
    task = open_task(ROOT, "cpu", budget)
    with hold_device("cpu"), tempfile.TemporaryDirectory(prefix="lin") as home:
        folder, shelf = runs.RunFolder(Path(home)), Shelf()
        first = shelf.commit(_first(task), ("head",), "Baseline", time.time())
        briefs = runs.read_briefs([ROOT / "program.md"])
        samplers = tuple(OPTIMISERS)
        turned = samplers[seed % len(samplers) :] + samplers[: seed % len(samplers)]
        settings = settings_of(arm, task, briefs, turned, first, seed, trials)
        watcher = Unwatched(lambda commit: 0.0)
        population = carried_out(
            settings,
            folder,
            shelf,
            Inline(run_trial),
            watcher,
            lambda *names: Mind(OPTIMISERS[names[-1]]()),
            time,
        )
        found = evidence.best(population)
        assert found is not None, "the baseline has a score"
        texts = (shelf.text(first), shelf.text(found))
        baseline, score = _again(task, folder, seed, texts[:1] if found == first else texts)
    return _played(population, baseline, score)


def _first(task: Task) -> str:
    """The genome every search starts from, sized as scheduler.py would."""
    text = genome_path(ROOT).read_text(encoding="utf-8")
    return genome.rewrite(text, sizing(task.profile, detect("cpu")))


def _again(task: Task, folder: runs.RunFolder, seed: int, texts: Sequence[str]) -> tuple[float, float]:
    """Mean scores of the first and the last of `texts`, measured in turn."""
    scores: list[list[float]] = [[] for _ in texts]
    for turn in range(_FRESH):
        for text, own in zip(texts, scores, strict=True):
            own.append(_score(task, folder, text, _SEED + seed * _FRESH + turn))
    return fmean(scores[0]), fmean(scores[-1])


def _score(task: Task, folder: runs.RunFolder, text: str, seed: int) -> float:
    """The score of a fresh trial. A genome that had one before is tried again when it fails."""
    for _ in range(_ATTEMPTS):
        order = Order(0, text, seed, task, str(folder.log(0)), str(folder.scratch))
        outcome = run_trial(order, _unseen).outcome
        if isinstance(outcome, Completed):
            return outcome.score
    raise RuntimeError(f"a genome that had a score failed {_ATTEMPTS} times: {outcome}")


def _unseen(progress: Progress) -> None:
    pass


def _played(population: Population, baseline: float, score: float) -> Played:
    claimed = claim(population)
    assert claimed is not None, "the baseline has a score"
    advanced = len(kept(population))
    return Played(population.finished, score, baseline - score, claimed.gain, advanced=advanced)
