"""What a comparison says in words: what its tables come to, and what they leave out."""

from collections.abc import Iterable, Mapping, Sequence
from math import hypot
from statistics import NormalDist
from typing import Final

from msgspec import Struct

from population.records import Knob
from results.comparing.finds import Find
from results.comparing.grouping import conditions
from results.comparing.laid import Laid
from results.comparing.sides import WIDTH, Measured
from results.writing import clean, count

BESIDE: Final = "beside what all of the run gained then"  # what gains across runs are compared with
TOGETHER: Final = "what moved together with something that helped is among it, whether or not it helped too"
_FINDS: Final = 12  # of each kind that are told
_HELD: Final = 4  # runs that are told of one find
_RUN: Final = 30  # characters of a run's name
_VALUE: Final = 24  # of a constant's value


class Chapter(Struct, frozen=True):
    """Lines under a title, each of a name and what there is to say of it."""

    title: str
    lines: tuple[tuple[str, str], ...]
    more: int  # lines that are left out


def heading(laid: Laid) -> str:
    return f"{count(len(laid.group.sides), 'run')}: {conditions(laid.group.sides[0].setting)}"


def notes(laid: Laid) -> list[str]:
    """What the tables come to, and what has to be known to read them."""
    sides, said = laid.group.sides, []
    if best := odds(laid):
        said += [f"{best}; one run of each kind does not say that the next would be, too"]
    if any(side.population is not None for side in sides):
        model = any(side.population is not None and side.best and not side.fresh for side in sides)
        rests = ", by a model of luck where the best was not measured again" if model else ""
        said += [f"± is 95%{rests}; what was best after a trial is told by what is known now"]
    if words := [side.name for side in sides if side.population is None]:
        assumed = (
            "single scores without intervals; by assumption 5 minutes a trial, with no start-up and exam"
        )
        said += [f"{_listed(words)}: {assumed}"]
    if not laid.same_start:
        said += [
            "the runs began with different genomes: it is their bests that can be compared, not their gains"
        ]
    return said


def odds(laid: Laid) -> str:
    """How likely it is that the leading run is better than its rival, as far as intervals are known.

    Gains are compared, from which what sets machines and days apart is taken out; or, where runs began with
    different genomes, their bests.
    """
    if laid.same_start:
        known, what = {side.name: side.gain for side in laid.group.sides}, "gained more than"
        best = sorted(_certain(known), key=lambda each: -each[1])
    else:
        known, what = {side.name: side.best for side in laid.group.sides}, "came to a better score than"
        best = sorted(_certain(known), key=lambda each: each[1])
    if len(best) < 2:
        return ""
    (first, mean, sd), (second, other, spread) = best[:2]
    apart, blur = abs(mean - other), hypot(sd, spread)
    likely = NormalDist(0.0, blur).cdf(apart) if blur else 1.0 if apart else 0.5
    chance = "over 99%" if likely > 0.99 else f"{likely:.0%}"
    return f"{clean(first, _RUN)} {what} {clean(second, _RUN)}: {chance} likely"


def _certain(known: Mapping[str, Measured | None]) -> list[tuple[str, float, float]]:
    """Names, means and standard deviations of what has an interval."""
    return [
        (name, value.mean, value.half / WIDTH)
        for name, value in known.items()
        if value is not None and value.half is not None
    ]


def chapters(laid: Laid) -> list[Chapter]:
    """What the bests have in common, and what only one has; nothing where there is but one run."""
    if len(laid.group.sides) < 2:
        return []
    alike = [find for find in laid.finds if len(find.by) > 1]
    alone = [find for find in laid.finds if len(find.by) == 1]
    found = [_chapter("found by several runs", alike), _chapter("found by one run only", alone)]
    if laid.repeated and found:
        genomes = count(laid.repeated, "genome")
        found[0] = Chapter(f"{found[0].title} ({genomes} tried by several)", found[0].lines, found[0].more)
    return [chapter for chapter in found if chapter.lines]


def _chapter(title: str, some: Sequence[Find]) -> Chapter:
    lines = tuple((f"{clean(find.what, 32)} {_way(find)}", held(find)) for find in some[:_FINDS])
    return Chapter(title, lines, len(some) - len(lines))


def held(find: Find) -> str:
    """Whose find it is, with its values: `dawn 0.04 → 0.054, dusk 0.04 → 0.05`."""
    parts = []
    for run, change in [*find.by.items()][:_HELD]:
        values = "" if change.code else f" {_value(change.was)} → {_value(change.now)}"
        parts.append(f"{clean(run, _RUN)}{values}")
    more = f" + {len(find.by) - _HELD} more" if len(find.by) > _HELD else ""
    code = " (the same code)" if find.way == "code" and find.same_code and len(find.by) > 1 else ""
    tried = f"; also tried by {_listed(find.tried)}" if find.tried else ""
    return ", ".join(parts) + more + code + tried


def _way(find: Find) -> str:
    return find.way if find.way in ("up", "down", "code", "gone") else "set"


def _listed(names: Iterable[str]) -> str:
    some = [clean(one, _RUN) for one in names]
    return ", ".join(some[:_HELD]) + (f" + {len(some) - _HELD} more" if len(some) > _HELD else "")


def _value(knob: Knob | None) -> str:
    if knob is None:
        return "nothing"
    return f"{knob:.4g}" if isinstance(knob, float) else clean(str(knob), _VALUE)
