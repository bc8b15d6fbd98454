"""What the bests of several runs have in common, and what only one has.

A find is something in which a run's best differs from its own baseline, by whatever steps it got there: a
constant that went up or down or was set to a value, or a definition whose code is another. Two runs found the
same where a constant moved in the same direction, or the same definition was changed. A results.tsv says only
what its descriptions of kept trials do, in the words `NAME old -> new`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from population.evidence import best
from population.records import Candidate, Knob
from population.state import Population
from results.comparing.code import changed_code
from results.comparing.rows import Row
from results.comparing.sides import Side
from results.expected import expected

Text: TypeAlias = Callable[[str], str | None]  # the genome at a commit, if it is still there
Key: TypeAlias = tuple[str, str]  # what, and which way


class Change(Struct, frozen=True):
    """A constant of a run's best that was another one in its baseline, or a definition; None: it had none."""

    what: str
    was: Knob | None = None
    now: Knob | None = None
    code: str = ""  # a digest of the definition, if it is one

    @property
    def key(self) -> Key:
        if self.code:
            return self.what, "code"
        was, now = self.was, self.now
        if _is_number(was) and _is_number(now):
            assert isinstance(was, int | float) and isinstance(now, int | float)
            return self.what, "up" if now > was else "down"
        return self.what, "gone" if now is None else f"is {now!r}"


class Find(Struct, frozen=True):
    """A change that the bests of some runs have, and other runs that tried it, but whose bests have not."""

    what: str
    way: str
    by: dict[str, Change]  # by the names of runs
    tried: tuple[str, ...]

    @property
    def same_code(self) -> bool:
        return len({change.code for change in self.by.values()}) == 1


def finds(sides: Sequence[Side], texts: Mapping[str, Text]) -> tuple[Find, ...]:
    """Those of most runs first, then what is expected to have gained most. `texts` by the names of runs."""
    found: dict[Key, dict[str, Change]] = defaultdict(dict)
    worth: dict[Key, float] = defaultdict(float)
    for side in sides:
        for change in _changes(side, texts.get(side.name)):
            found[change.key][side.name] = change
            worth[change.key] += _worth(side, change.what)
    tried = {side.name: _tried(side) for side in sides}
    order = sorted(found, key=lambda key: (-len(found[key]), worth[key], key))
    return tuple(
        Find(*key, found[key], tuple(name for name in tried if key in tried[name] and name not in found[key]))
        for key in order
    )


def tried_by_several(sides: Sequence[Side]) -> int:
    """How many genomes, baselines aside, more than one run gave a trial."""
    seen: dict[str, set[str]] = defaultdict(set)
    for side in sides:
        if side.population is not None:
            for number in side.population.tried:
                candidate = side.population.candidates[number]
                if candidate.operator != "baseline":
                    seen[candidate.genome_hash].add(side.name)
    return sum(len(names) > 1 for names in seen.values())


def same_start(sides: Sequence[Side]) -> bool:
    """Whether all runs that say so began with the same genome."""
    starts = (_first(side.population) for side in sides if side.population is not None)
    return len({start.genome_hash for start in starts if start is not None}) <= 1


def _changes(side: Side, text: Text | None) -> list[Change]:
    population = side.population
    if population is None:
        return _net(_moves(side.rows, kept=True))
    first, found = _first(population), best(population)
    if first is None or found is None:
        return []
    last = population.candidates[population.commits[found]]
    moved = [Change(name, *values) for name, values in _apart(first, last).items()]
    before, after = (text(first.commit), text(last.commit)) if text else (None, None)
    if before is None or after is None:
        return moved
    code = changed_code(before, after, first.knobs.keys() | last.knobs.keys())
    return moved + [Change(what, code=digest) for what, digest in code.items()]


def _first(population: Population) -> Candidate | None:
    return (
        None
        if population.baseline is None
        else population.candidates[population.commits[population.baseline]]
    )


def _apart(one: Candidate, other: Candidate) -> dict[str, tuple[Knob | None, Knob | None]]:
    """Constants of which two genomes have different values."""
    names = sorted(one.knobs.keys() | other.knobs.keys())
    pairs = {name: (one.knobs.get(name), other.knobs.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _tried(side: Side) -> set[Key]:
    """All that some trial of a run changed of constants."""
    population = side.population
    if population is None:
        return {move.key for move in _moves(side.rows, kept=False)}
    found: set[Key] = set()
    for number in population.tried:
        candidate = population.candidates[number]
        base = population.commits.get(candidate.base)
        if base is not None and base != number:
            apart = _apart(population.candidates[base], candidate)
            found |= {Change(name, *values).key for name, values in apart.items()}
    return found


def _worth(side: Side, what: str) -> float:
    """What is expected of the steps to the best that moved a constant, each shared among all it moved."""
    population = side.population
    found = None if population is None else best(population)
    if population is None or found is None:
        return 0.0
    total = 0.0
    for trial in population.path(found)[1:]:
        base = population.candidates[population.commits[trial.candidate.base]]
        apart, told = _apart(base, trial.candidate), expected(population, trial.candidate)
        if what in apart and told is not None:
            total += told.change / len(apart)
    return total


_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_MOVE: Final = re.compile(
    rf"\b([A-Z][A-Z0-9_]{{2,40}}) (?:from )?({_NUMBER}) ?(?:->|→|to) ?({_NUMBER})(?![\w*^.])"
)


def _moves(rows: Iterable[Row], kept: bool) -> list[Change]:
    """What descriptions say of constants; of all trials, or of kept ones only."""
    told = (_MOVE.findall(row.description) for row in rows if row.status == "keep" or not kept)
    found = [Change(name, float(was), float(now)) for moves in told for name, was, now in moves]
    return [move for move in found if move.was != move.now]


def _net(moves: Iterable[Change]) -> list[Change]:
    """Several moves of a constant as one."""
    ends: dict[str, Change] = {}
    for move in moves:
        ends[move.what] = Change(move.what, ends.get(move.what, move).was, move.now)
    return [move for move in ends.values() if move.was != move.now]


def _is_number(value: Knob | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
