"""Where every lineage stood after which trial: the one thing about a run that its population does not keep.

Folded from the journal beside the population, which knows only where lineages stand now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from population.records import Adopted, Assigned, Entry, Founded, Judged, Proposed, Pruned


class Move(Struct, frozen=True):
    """After `trial` (0: before any) a lineage's tip is `commit`; its own find, or one that it took up."""

    trial: int
    commit: str
    own: bool


class Stay(Struct, frozen=True):
    """One lineage's moves, its first tip among them, and the trial it was pruned after, if it was."""

    lineage: str
    moves: tuple[Move, ...]
    pruned: int | None = None


@dataclass
class _Walk:
    """A lineage that is being followed."""

    moves: list[Move] = field(default_factory=list)
    pruned: int | None = None

    def goes(self, trial: int, commit: str, own: bool) -> None:
        """Of several moves after one trial only the last is seen; one to where it stands is none."""
        if self.moves and self.moves[-1].trial == trial and self.moves[-1].commit != commit:
            self.moves.pop()
        if not self.moves or self.moves[-1].commit != commit:
            self.moves.append(Move(trial, commit, own))


def stays(entries: Iterable[Entry]) -> list[Stay]:
    """One for each lineage, oldest first."""
    walks: dict[str, _Walk] = {}
    commits: dict[int, tuple[str, str]] = {}  # candidate -> its lineage and commit
    turns: dict[int, int] = {}  # trial -> its candidate
    built_on: set[str] = set()
    trial = 0
    for entry in entries:
        match entry.event:
            case Founded(lineage, tip=tip):
                walks[lineage] = _Walk()
                walks[lineage].goes(trial, tip, False)
            case Proposed(candidate):
                commits[candidate.number] = candidate.lineage, candidate.commit
            case Assigned(trial, number):
                turns[trial] = number
            case Adopted(lineage, commit):
                walks[lineage].goes(trial, commit, False)
                built_on.add(commit)
            case Judged(judged, "advance"):
                lineage, commit = commits[turns[judged]]
                if walks[lineage].pruned is None and commit not in built_on:
                    walks[lineage].goes(judged, commit, True)
                built_on.add(commit)
            case Pruned(lineage):
                walks[lineage].pruned = trial
            case _:
                pass
    return [Stay(name, tuple(walk.moves), walk.pruned) for name, walk in walks.items()]


def strands(lives: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """A strand for each lineage, given its first and last trial.

    One that ended leaves its strand to the next that is founded after it.
    """
    taken: dict[int, int] = {}  # strand -> trial up to which it is taken
    found: dict[str, int] = {}
    for lineage, (first, last) in lives.items():
        free = (strand for strand, until in sorted(taken.items()) if until <= first)
        strand = next(free, len(taken))
        taken[strand], found[lineage] = last, strand
    return found
