"""The change of score that an author expects, read out of what it said; negative is a gain."""

import math
import re
from typing import Final

_LARGEST: Final = 1e6  # what is larger is no change of a score
_MINUS: Final = ("-", "−", "–")
_NUMBER: Final = re.compile(
    r"(?<![\w.])([-+−–]?)\s?((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?!\d)\s?(%|percent|m\w*bpb|milli)?", re.I
)
_BETWEEN: Final = re.compile(r"\s*(?:->|→|to)\s*")
_GAIN: Final = re.compile(r"\b(?:lower|reduc|decreas|improv|drop|gain|better|fall|less)", re.I)


def foreseen(expected: object) -> float | None:
    """The change that a value in an answer's JSON stands for, if it is one."""
    match expected:
        case bool():
            return None
        case int() | float():
            return float(expected) if abs(expected) <= _LARGEST else None
        case str():
            return number(expected)
    return None


def number(words: str) -> float | None:
    """The change of score that words speak of, negative for a gain: `-0.002`, `2 mbpb less`, `1.9 -> 1.8`.

    None without a number, and for a percentage, which is no score.
    """
    words = words[:200]
    found = list(_NUMBER.finditer(words))
    if not found:
        return None
    unit = (found[0][3] or "").lower()
    value = _from_to(words, found)
    if value is None:
        sign, size = found[0][1], float(found[0][2])
        value = -size if sign in _MINUS or (not sign and _GAIN.search(words)) else size
    if unit in ("%", "percent") or not math.isfinite(value) or abs(value) > _LARGEST:
        return None
    return value / 1000 if unit else value


def _from_to(words: str, found: list[re.Match[str]]) -> float | None:
    """The difference of the first two numbers, if they are scores before and after."""
    if len(found) < 2 or found[0][1] or found[1][1]:
        return None
    between = words[found[0].end() : found[1].start()]
    return float(found[1][2]) - float(found[0][2]) if _BETWEEN.fullmatch(between) else None
