"""The JSON that a model is asked for when it may set knobs, as a schema.

The schema keeps to what OpenAI's strict mode and llama.cpp's grammars both understand: objects with all keys
required and none besides, arrays, enums, and one `anyOf` whose branches begin with different keys (strict
mode refuses branches that begin with the same). So a change is an object of one key, the knob: {"DEPTH": 8}.
Limits of numbers are not part of it, since few servers heed them; ranges stand in the prompt and are checked
here.
"""

import math
from typing import Any, Final

from population.genome import Choices, Constant, Interval
from population.hearing.settings import settable

_FEW: Final = 24  # whole numbers that are listed one by one


def schema(genome: str) -> dict[str, Any]:
    """The JSON schema of an answer that sets knobs of this genome, which must have some (see `settable`).

    Raises SyntaxError.
    """
    changes = [_object({name: _value(constant)}) for name, constant in settable(genome).items()]
    return _object(
        {
            "idea": {"type": "string"},
            "expected": {"type": "number"},
            "changes": {"type": "array", "items": {"anyOf": changes}},
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
        case Choices(values) if all(type(value) is type(constant.knob) for value in values):
            return {**kind, "enum": list(dict.fromkeys(values))}
        case Choices(values):
            kinds = list(dict.fromkeys(_JSON[type(value)] for value in values))
            return {"type": kinds if len(kinds) > 1 else kinds[0], "enum": list(dict.fromkeys(values))}
        case Interval() as interval if type(constant.knob) is int and (listed := _listed(interval)):
            return {**kind, "enum": listed}
    return kind


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
