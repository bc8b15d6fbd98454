"""What a run leaves: experiments.parquet and results.tsv for other programs, best/, and the lineage tree.

All of it is derived from the journal and can be written again at any time. Every file is written aside and
renamed, so a reader sees the old one or the new one. One call reads and writes the whole run, in time linear
in its trials: on two cores about 20 ms at 1,000 trials and 100 ms at 5,000. Trials shorter than that are
better exported every few seconds than every time.
"""

import io
from collections.abc import Callable
from pathlib import Path

from population.evidence import best
from population.records import Completed, Crashed, Outcome, Refused, Stopped, TimedOut
from population.state import Population, Trial
from results.changes import unified
from results.frames import trials
from results.words import idea_of
from results.writing import clean

_HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"


def write_exports(folder: Path, population: Population, genome_of: Callable[[str], str]) -> None:
    """Bring the exports in the run's `folder` up to date. `genome_of` gives the text of a commit's genome,
    and is asked only when the best has changed or a file of it is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.BytesIO()  # polars says of a full disk only that the file came out wrong
    trials(population).write_parquet(table)
    _write(folder / "experiments.parquet", table.getvalue())
    _write(folder / "results.tsv", results_tsv(population).encode())
    _write_best(folder / "best", population, genome_of)
    from results.tree import write_tree  # altair takes a third of a second to import, and only a run needs it

    write_tree(folder, population, genome_of)


def results_tsv(population: Population) -> str:
    """The judged trials in autoresearch's five columns, whatever the task's metric is called.

    Its three statuses have to do: what failed is a `crash`, with the zeros its readers expect; what was
    stopped as hopeless is a `discard` with no score. No zero stands for anything else. A trial is a `keep` if
    it made its genome one to build on; one that only measures a genome again is not.
    """
    judged = [t for t in population.trials.values() if t.verdict is not None and t.outcome is not None]
    return _HEADER + "".join(_line(trial, trial.outcome) for trial in judged if trial.outcome)


def _line(trial: Trial, outcome: Outcome) -> str:
    memory_mb = trial.usage.peak_memory_mb if trial.usage else 0.0
    memory = f"{memory_mb / 1024:.1f}"
    match outcome:
        case Completed(score):
            result = (f"{score:.6f}", memory, "keep" if trial.verdict == "advance" else "discard")
        case Stopped():
            result = ("", memory, "discard")
        case Crashed() | TimedOut() | Refused():
            result = ("0.000000", "0.0", "crash")
    # With the lineage in front no description is a word that pandas reads as missing, such as NA.
    description = clean(f"{trial.candidate.lineage}: {idea_of(trial, 300)}", 300).replace('"', "'")
    return "\t".join((trial.candidate.commit[:7], *result, description)) + "\n"


def _write_best(folder: Path, population: Population, genome_of: Callable[[str], str]) -> None:
    found, baseline = best(population), population.baseline
    if found is None or baseline is None:
        return
    trial = population.tried[population.commits[found]]
    # The first line names what the files show. It is no part of the diff: patch and git apply skip it.
    title = f"baseline {baseline}, best {found} (trial {trial})\n"
    genome, diff = folder / "train.py", folder / "best.diff"
    if genome.exists() and diff.exists() and diff.read_bytes().startswith(title.encode()):
        return
    folder.mkdir(exist_ok=True)
    before, after = genome_of(baseline), genome_of(found)
    _write(genome, after.encode())
    _write(diff, (title + unified(before, after)).encode())  # last: its title is what says that both are done


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(content)
    aside.replace(path)
