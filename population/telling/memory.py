"""What was tried, as a mind that reads is told of it: in groups, the most telling first.

A failure is a fact about an idea and the file it was tried on, so each line says which file that was. Ideas
and logs are strangers' text: each stands on one line of its own, at its end, where it can pose as nothing
else, and every group stands in a block that it cannot close.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Final, TypeAlias

from msgspec import Struct

from population.genome import knobs
from population.hearing.quoting import fenced, line, lines
from population.proposals import Request, Tried
from population.records import Completed, Crashed, Knob, Stopped
from population.telling.alike import Kind, alike
from trainer.outcome import cause, status

_LIKELY: Final = 0.3  # chance of a gain from which a failure counts as near
_SMALL: Final = 0.25  # so does a change below this share of the usual one
_IDEA: Final = 160  # characters of an idea
_CAUSE: Final = 160
_TAIL: Final = 5  # lines of a log
_SHOWN: Final = 4  # trials of a group that are told one by one

Place: TypeAlias = Callable[[str], str]  # how a commit is called


class Section(Struct, frozen=True):
    """One kind of memory; `items` in the order in which they are worth telling."""

    title: str
    note: str
    items: tuple[str, ...]

    def text(self, count: int | None = None) -> str:
        """The section with its first items, and how many are left out."""
        told = self.items[:count]
        rest = len(self.items) - len(told)
        more = f"\n\n({rest} more left out)" if rest else ""
        return f"## {self.title}\n\n{self.note}\n\n{fenced(chr(10).join(told))}{more}"


_WAY: Final = "What train.py as it stands has gained since the baseline, in order."
_WAITING: Final = "Thought of and not tried yet: do not propose these again."
_ELSEWHERE: Final = "Gains on other lines that train.py as it stands does not have."
_NEAR: Final = "Not proven and not refuted: worth another look, alone or with what they lacked."
_FAILED: Final = "No score at all. The idea may be good where the code was not."
_DEAD: Final = "Made it worse, or did nothing. Ideas of a kind stand together, the most tried first."

LEGEND: Final = """\
Each line gives the trial, the file it changed (`here` is train.py as it stands, `start` the baseline, #7
the file of trial 7), what the change did to {metric} as far as the evidence goes (negative is better),
where it is known the probability p that this is a gain, and the idea. A result says what an idea did to
the file it was tried on; to another file it may do something else."""


def record(request: Request) -> str:
    """All of it as a page of Markdown; bounded by the length of the history, and otherwise whole."""
    legend = LEGEND.format(metric=line(request.metric, 40))
    told = [section.text() for section in sections(request)]
    return "\n\n".join(["# What was tried", legend if told else "Nothing yet.", *told]) + "\n"


def sections(request: Request) -> tuple[Section, ...]:
    """What was tried in groups, the most important first; empty groups are left out."""
    trials = _distinct(request.history)
    place = _places(request)
    usual = median([abs(change) for tried in trials if (change := change_of(tried)) is not None] or [0.0])
    others = [tried for tried in trials if not tried.advanced and tried.trial not in request.path]
    failed = [tried for tried in others if not isinstance(tried.outcome, Completed | Stopped)]
    near = [tried for tried in others if _is_near(tried, usual * _SMALL)]
    taken = {tried.trial for tried in [*failed, *near]}
    dead = [tried for tried in others if tried.trial not in taken]
    by_trial = {tried.trial: tried for tried in trials}
    way = [by_trial[trial] for trial in request.path if trial in by_trial]
    elsewhere = [tried for tried in reversed(trials) if tried.advanced and tried.trial not in request.path]
    found = (
        Section("The way here", _WAY, _told(way, place)),
        Section("Waiting", _WAITING, tuple(line(idea, _IDEA) for idea in request.pending)),
        Section("Wins elsewhere", _ELSEWHERE, _told(elsewhere, place)),
        Section("Near misses", _NEAR, _told(sorted(near, key=_promise), place)),
        Section("Crashes and refusals", _FAILED, _failures(failed, place)),
        Section("Dead ends", _DEAD, _dead_ends(dead, place, _parents(request))),
    )
    return tuple(section for section in found if section.items)


def untouched(request: Request, names: Iterable[str]) -> list[str]:
    """Those of these constants that no trial has moved."""
    parents = _parents(request)
    moved = {name for tried in request.history for name in _moved(tried, parents)}
    return [name for name in names if name not in moved]


def change_of(tried: Tried) -> float | None:
    """What a trial did to the score of its parent: after shrinkage where that is known, else as measured."""
    if tried.effect is not None:
        return tried.effect.change
    if isinstance(tried.outcome, Completed) and tried.parent_score is not None:
        return tried.outcome.score - tried.parent_score
    return None


def signed(change: float) -> str:
    """A change of score with its sign, in four decimals or two digits."""
    return f"{change:+.4f}" if 0.001 <= abs(change) < 1_000 else f"{change:+.2g}"


def _distinct(history: Iterable[Tried]) -> list[Tried]:
    """One trial for each commit, the latest, which knows of the others; without the baseline's own."""
    return list({tried.commit: tried for tried in history if tried.operator != "baseline"}.values())


def _places(request: Request) -> Place:
    """How a commit is called."""
    names = {tried.commit: f"#{tried.trial}" for tried in request.history if tried.operator != "baseline"}

    def place(commit: str) -> str:
        return "here" if commit == request.parent else names.get(commit, "start")

    return place


def _is_near(tried: Tried, small: float) -> bool:
    change = change_of(tried)
    if change is None:
        return False
    likely = tried.effect is not None and tried.effect.p_better >= _LIKELY
    return likely or change <= small


def _promise(tried: Tried) -> tuple[float, int]:
    """Near misses in order: the likeliest gain first, then the larger, then the newer."""
    change = change_of(tried) or 0.0
    return (-tried.effect.p_better if tried.effect else change, -tried.trial)


def _told(trials: Iterable[Tried], place: Place) -> tuple[str, ...]:
    return tuple(_line(tried, place) for tried in trials)


def _line(tried: Tried, place: Place) -> str:
    kind = "" if tried.operator in ("mutate", "external") else f"[{tried.operator}] "
    return f"#{tried.trial} from {place(tried.parent)}  {_result(tried)}  {kind}{line(tried.idea, _IDEA)}"


def _result(tried: Tried) -> str:
    change = change_of(tried)
    if change is not None:
        return signed(change) + (f" (p {tried.effect.p_better:.2f})" if tried.effect else "")
    if isinstance(tried.outcome, Completed):
        return f"scored {tried.outcome.score:.5g}"
    if isinstance(tried.outcome, Stopped):
        return f"stopped at {tried.outcome.fraction:.0%}, hopeless"
    return status(tried.outcome).replace("_", " ")


def _failures(failed: list[Tried], place: Place) -> tuple[str, ...]:
    """The newest of each cause with the end of its log, and those that failed in the same way below it."""
    alike: dict[str, list[Tried]] = {}
    for tried in reversed(failed):
        alike.setdefault(re.sub(r"\d+", "#", line(cause(tried.outcome) or "", 100)), []).append(tried)
    return tuple("\n".join(_failure(first, rest, place)) for first, *rest in alike.values())


def _failure(first: Tried, rest: list[Tried], place: Place) -> list[str]:
    why = line(cause(first.outcome) or "", _CAUSE)
    tail = lines(first.outcome.tail, _TAIL, _CAUSE) if isinstance(first.outcome, Crashed) else ()
    told = [
        _line(first, place),
        f"    because: {why}",
        *(f"    | {each}" for each in tail if each.strip() != why),
    ]
    told += [f"  likewise {_line(tried, place)}" for tried in rest[:_SHOWN]]
    return [*told, *_more(len(rest))]


def _more(count: int) -> list[str]:
    return [f"  and {count - _SHOWN} more of the kind"] if count > _SHOWN else []


def _dead_ends(dead: list[Tried], place: Place, parents: Mapping[str, dict[str, Knob]]) -> tuple[str, ...]:
    kinds = alike([(tried, _moved(tried, parents)) for tried in reversed(dead)])
    return tuple("\n".join(_kind(kind, place)) for kind in kinds)


def _kind(kind: Kind, place: Place) -> list[str]:
    told = [_line(tried, place) for tried in kind.trials[:_SHOWN]]
    count = len(kind.trials)
    if count == 1:
        return told
    changes = [change for tried in kind.trials if (change := change_of(tried)) is not None]
    best = f", at best {signed(min(changes))}" if changes else ""
    heading = f"{kind.name or 'one idea'}: {count} tries, no gain{best}"
    return [heading, *(f"  {each}" for each in told), *_more(count)]


def _parents(request: Request) -> dict[str, dict[str, Knob]]:
    """The constants of every commit that is known."""
    known = {tried.commit: tried.knobs for tried in request.history}
    try:
        return {**known, request.parent: knobs(request.genome)}
    except SyntaxError:
        return known


def _moved(tried: Tried, parents: Mapping[str, dict[str, Knob]]) -> frozenset[str]:
    """Constants that a trial set to something else than its parent has."""
    before = parents.get(tried.parent)
    if before is None:
        return frozenset()
    return frozenset(name for name, value in tried.knobs.items() if name in before and before[name] != value)
