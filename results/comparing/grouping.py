"""Which runs can be compared, and why the others cannot.

Scores are compared where metric, budget, profile, device and exam are the same. A results.tsv says none of
that: it is taken for autoresearch's val_bpb after five minutes, which is what the `h100` profile measures,
and only as long as its baseline is about as good as that of the runs it stands beside.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from results.comparing.sides import Setting, Side
from results.writing import clean, figure

_SAME: Final = 0.01  # of the score: how far baselines of one exam lie apart (0.2% on seven H100s)
_PROFILE: Final = "h100"  # on which a val_bpb means what it means in autoresearch


class Group(Struct, frozen=True):
    """Runs whose scores can be compared; `apart` says why not with those of the first group."""

    sides: tuple[Side, ...]
    apart: str

    @property
    def metric(self) -> str:
        return self.sides[0].setting.metric


def groups(sides: Sequence[Side]) -> tuple[Group, ...]:
    """The largest group first, of equal ones that with the run that was named first."""
    found: list[list[Side]] = []
    for side in sorted(sides, key=lambda side: side.population is None):  # what is known comes first
        home = next((some for some in found if not differences(some[0], side)), None)
        if home is None:
            found.append([side])
        else:
            home.append(side)
    order = {id(side): place for place, side in enumerate(sides)}
    ordered = [sorted(some, key=lambda side: order[id(side)]) for some in found]
    ordered.sort(key=lambda some: (-len(some), order[id(some[0])]))
    return tuple(Group(tuple(some), _apart(ordered[0][0], some[0])) for some in ordered)


def conditions(setting: Setting) -> str:
    """What scores were made under: `val_bpb after 300 s, profile h100 on cuda, exam 1a2b3c4d5e6f`."""
    parts = [f"{clean(setting.metric, 30)} after {setting.budget_s:g} s"]
    if setting.profile or setting.device:
        parts.append(
            f"profile {clean(setting.profile or 'none', 20)} on {clean(setting.device or 'any', 20)}"
        )
    parts.append(f"exam {clean(setting.exam, 64)[:12]}" if setting.exam else "by their own word")
    return ", ".join(parts)


def differences(one: Side, other: Side) -> list[str]:
    """Why the scores of `other` cannot be compared with those of `one`; empty if they can."""
    ours, theirs = one.setting, other.setting
    found = []
    if theirs.metric != ours.metric:
        found.append(f"its metric is {clean(theirs.metric, 30)}, not {clean(ours.metric, 30)}")
    if theirs.budget_s != ours.budget_s:
        assumed = "" if theirs.exam else ", by assumption"
        found.append(f"its trials train for {theirs.budget_s:g} s{assumed}, not {ours.budget_s:g} s")
    if ours.exam is None or theirs.exam is None:
        return found or _unsaid(one, other)
    for what, mine, its in (
        ("profile", ours.profile, theirs.profile),
        ("device", ours.device, theirs.device),
    ):
        if mine != its:
            found.append(f"its {what} is {clean(its or 'none', 20)}, not {clean(mine or 'none', 20)}")
    if ours.exam != theirs.exam:
        found.append("its exam is another")
    return found


def _unsaid(one: Side, other: Side) -> list[str]:
    """Where a results.tsv is among them, what it may be told by."""
    profiles = {side.setting.profile for side in (one, other)} - {None}
    if profiles - {_PROFILE}:
        profile = clean(min(map(str, profiles)), 20)
        return [f"autoresearch measures as the profile {_PROFILE} does, not as {profile}"]
    if one.baseline is None or other.baseline is None:
        return ["it has no score"]
    mine, its = one.baseline.mean, other.baseline.mean
    if abs(its - mine) > _SAME * abs(mine):
        return [f"its first score is {figure(its)}, not about {figure(mine)}: another machine or exam"]
    return []


def _apart(one: Side, other: Side) -> str:
    return (
        ""
        if one is other
        else f"not comparable with {clean(one.name, 30)}: {'; '.join(differences(one, other))}"
    )
