"""The JSON that a model is asked for when it may set knobs, as a schema.

The schema keeps to what OpenAI's strict mode and llama.cpp's grammars both understand: objects with all keys
required and none besides, arrays, enums, and one `anyOf` whose branches begin with different keys (strict
mode refuses branches that begin with the same). So a change is an object of one key, the knob: {"DEPTH": 8}.
Limits of numbers are not part of it, since few servers heed them. A number with a range is one of some around
the present one instead, as small models have no feeling for ranges; the present one is not among them.
"""

import math
from typing import Any, Final

from population.genome import Choices, Constant, Interval
from population.hearing.settings import inside, settable

_FEW: Final = 24  # whole numbers that are listed one by one
_FACTORS: Final = (
    1.1,
    1.25,
    1.5,
    2.0,
    3.0,
)  # by which a number with a logarithmic range may move, up or down
_SHARES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)  # of its range, by which any other number may


def schema(genome: str) -> dict[str, Any]:
    """The JSON schema of an answer that sets knobs of this genome, which must have some (see `settable`).

    Raises SyntaxError.
    """
    changes = [_object({name: _value(constant)}) for name, constant in settable(genome).items()]
    return _object(
        {
            "idea": {"type": "string"},
            "expected": {"type": "number"},
            "changes": {"type": "array", "items": {"anyOf": changes}, "minItems": 1},
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _value(constant: Constant) -> dict[str, Any]:
    """The schema of a knob's values."""
    kind = {"type": _JSON[type(constant.knob)]}
    match constant.range:
        case Choices(values):
            others = [value for value in dict.fromkeys(values) if value != constant.knob]
            kinds = list(dict.fromkeys(_JSON[type(value)] for value in others))
            return {"type": kinds if len(kinds) > 1 else kinds[0], "enum": others}
        case Interval() as interval if moves := _moves(constant, interval):
            return {**kind, "enum": moves}
    return kind


def _moves(constant: Constant, interval: Interval) -> list[int] | list[float]:
    """What a number may become: all that there are, if they are few whole ones, or some around what it is."""
    knob = constant.knob
    if isinstance(knob, bool) or not isinstance(knob, int | float):
        return []
    if isinstance(knob, int) and (listed := _listed(interval)):
        return [number for number in listed if number != knob]
    if interval.scale == "linear":
        near = [knob + sign * share * (interval.high - interval.low) for share in _SHARES for sign in (1, -1)]
    else:
        near = [knob * factor**sign for factor in _FACTORS for sign in (1, -1)]
    numbers = {_rounded(number, interval, isinstance(knob, int)) for number in near} - {knob}
    return sorted(number for number in numbers if inside(number, interval))


def _rounded(number: float, interval: Interval, whole: bool) -> int | float:
    """A number that a person would write: on a step of the interval, or of three digits."""
    if interval.step is not None:
        number = interval.low + round((number - interval.low) / interval.step) * interval.step
    return round(number) if whole else float(f"{number:.3g}")


_JSON: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _listed(interval: Interval) -> list[int] | None:
    """All whole numbers of an interval, if they are few."""
    low, high = math.ceil(interval.low), math.floor(interval.high)
    if interval.scale == "power of two":
        if high.bit_length() > 64:
            return None
        powers = (2**exponent for exponent in range(high.bit_length()))
        return [power for power in powers if low <= power <= high]
    step = interval.step or 1
    if interval.scale == "log" or step % 1 or interval.low % 1 or (high - low) / step >= _FEW:
        return None
    return list(range(low, high + 1, int(step)))
