"""What stopping hopeless trials saves and what it costs, on trainings that were recorded to their end.

    uv run python benchmarks/racing.py                                 # judge the rule by what is recorded
    uv run python benchmarks/racing.py --record RUN ... [--out FILE]   # record runs made with --no-racing

Each training is gone through again in the order of its run: the rule knows of it what a scheduler would have
known, the trials before it, and nothing of the others. Saved is the part of the budget after the moment at
which it would have been stopped. An improvement is a score better than the parent's, luck included; killed is
one that would have been stopped. Foretold is a gain of more than `CLEAR`, or none, that the loss at the end
of the training tells before the exam does.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
import polars as pl
from cyclopts import Parameter
from msgspec import Struct

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from population.beginning.beginning import RUNS
from population.branches import Branches
from population.journal import folded, read
from population.keeping import runs
from population.knobs.schedules import same_schedules
from population.racing import Pair, bounds, pair, told_by_the_end
from trainer.curve import PARTS, Curve, behind
from trainer.task import genome_path

CLEAR: Final = 0.005  # of the parent's score
RECORDED: Final = Path(__file__).resolve().parent / "recorded" / "cpu_curves.parquet"


class Training(Struct, frozen=True):
    """One recorded trial. `parent` is the number of the first trial of its base; None for a baseline."""

    run: str
    trial: int
    parent: int | None
    again: bool  # a genome that was trained before, with another seed
    score: float
    alike: bool  # whether its schedules are its parent's
    curve: Curve


class Judged(Struct, frozen=True):
    """What the rule would have done with a training."""

    training: Training
    gain: float  # relative to the parent; negative is better
    foretold: float | None  # the same by the loss that it ended with
    stopped: float | None  # fraction of the budget


def recorded(names: Sequence[str]) -> list[Training]:
    """All trials of some runs that have a score and a curve."""
    found = []
    for name in names:
        folder = runs.find(RUNS, name)
        settings = runs.load(folder)
        if settings.racing:
            raise SystemExit(f"{name} raced: only runs made with --no-racing show what stopping would cost")
        task = Path(settings.task.folder)
        text = Branches.open(task, settings.run, folder.path, genome_path(task)).text
        population = folded(folder.journal, read(folder.journal))
        for trial in population.trials.values():
            base = trial.candidate.base
            first = population.tried.get(population.commits[base]) if base in population.commits else None
            if trial.score is not None and trial.usage and trial.usage.curve:
                alike = first is not None and same_schedules(text(base), text(trial.candidate.commit))
                parent = None if first == trial.number else first
                curve = trial.usage.curve
                found.append(Training(name, trial.number, parent, trial.again, trial.score, alike, curve))
    return found


def judged(trainings: Sequence[Training]) -> list[Judged]:
    """Go through the trainings of one run as its scheduler would have."""
    by_number = {training.trial: training for training in trainings}
    pairs: list[Pair] = []
    found = []
    for training in trainings:
        parent = None if training.parent is None else by_number.get(training.parent)
        if parent is None or training.again:
            continue
        stopped = _stopped(training.curve, bounds(parent.curve, pairs, training.alike))
        known = pair(training.curve, training.score, parent.curve, parent.score)
        gap = known.gaps[-1]
        foretold = None if gap is None else told_by_the_end(pairs) * gap
        found.append(Judged(training, known.gain, foretold, stopped))
        if stopped is None:  # of the others a scheduler sees no score
            pairs.append(known)
    return found


def _stopped(curve: Curve, limits: Curve) -> float | None:
    parts = (part for part in range(1, len(curve)) if behind(curve[:part], limits))
    return next((part / PARTS for part in parts), None)


def told(found: Sequence[Judged]) -> str:
    """The table."""
    stopped = [one for one in found if one.stopped is not None]
    gains = [one for one in found if one.gain < 0]
    killed = [one for one in stopped if one.gain < 0]
    saved = sum(1 - (one.stopped or 0.0) for one in stopped) / len(found)
    lines = [
        f"{len(found)} trainings beside their parents, {sum(one.training.alike for one in found)} on the "
        "same schedules",
        f"stopped {len(stopped)} of {len(found)}, after {_mean([one.stopped or 0 for one in stopped]):.0%} "
        f"of the budget on average: {saved:.1%} of the training time saved",
        f"killed {len(killed)} of {len(gains)} improvements ({len(killed) / max(len(gains), 1):.1%})",
    ]
    pairs = [(one.gain < -CLEAR, one.foretold < -CLEAR) for one in found if one.foretold is not None]
    right, clear = sum(gain == foretold for gain, foretold in pairs), sum(gain for gain, _ in pairs)
    seen = sum(gain and foretold for gain, foretold in pairs)
    lines.append(
        f"the last losses tell {right} of {len(pairs)} right, whether they gained more than {CLEAR:.1%} or "
        f"not, and {seen} of the {clear} that did"
    )
    lines += [f"  trial {one.training.trial} of {one.training.run}: {one.gain:+.2%}" for one in killed]
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def main(
    *,
    record: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    out: Path = RECORDED,
) -> None:
    """Judge the rule by what is recorded in a file; with --record, write the file first."""
    if record:
        out.parent.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = [
            {name: getattr(training, name) for name in Training.__struct_fields__}
            for training in recorded(record)
        ]
        pl.DataFrame(rows, schema_overrides={"parent": pl.Int64, "curve": pl.List(pl.Float64)}).write_parquet(
            out
        )
    table = pl.read_parquet(out)
    trainings = [Training(**row | {"curve": tuple(row["curve"])}) for row in table.to_dicts()]
    names = list(dict.fromkeys(training.run for training in trainings))
    print(told([one for name in names for one in judged([t for t in trainings if t.run == name])]))


if __name__ == "__main__":
    cyclopts.run(main)
