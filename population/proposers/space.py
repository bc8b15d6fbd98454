"""The space a genome's knobs span: one axis a knob, measured in strides.

A stride is a sensible first step: a factor of 1.5 for what has a scale, one exponent for powers of two, at
most an eighth of a stated range, one unit for small whole numbers. In strides, a learning rate and a depth
can be searched by one optimiser. Choices (and flips) count from 0 in the order given and have no distance.

Where a comment states no range, one is inferred from name and value; strings without choices stay as they
are.
"""

import math
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from population.genome import Choices, Constant, Fixed, Interval
from population.records import Knob

_LN_STRIDE: Final = math.log(1.5)
_FACTOR: Final = 100.0  # how far an inferred log scale reaches from the present value, both ways


class Axis(Struct, frozen=True):
    """One knob's axis. `low` and `high` are values, not strides; `stride` is in the scale's own unit."""

    name: str
    whole: bool  # values are ints
    scale: Literal["linear", "log", "power of two", "odds", "choice"]
    low: float = 0.0
    high: float = 0.0
    stride: float = 1.0
    step: float | None = None  # values lie on low + n * step
    choices: tuple[Knob, ...] = ()

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest coordinate."""
        if self.scale == "choice":
            return 0.0, float(len(self.choices) - 1)
        return self._strides(self.low), self._strides(self.high)

    def coordinate(self, value: Knob) -> float | None:
        """Where a value lies, in strides, cut to the bounds; None for a value of another kind."""
        if self.scale == "choice":
            return float(self.choices.index(value)) if value in self.choices else None
        if isinstance(value, str):
            return None
        return self._strides(min(max(float(value), self.low), self.high))

    def value(self, coordinate: float) -> Knob:
        """The value at a coordinate, rounded as a person would write it and inside the range."""
        if self.scale == "choice":
            return self.choices[round(min(max(coordinate, 0), len(self.choices) - 1))]
        number = min(max(self._number(float(coordinate)), self.low), self.high)
        if self.step is not None:
            number = self.low + round((number - self.low) / self.step) * self.step
            number = number - self.step if number > self.high * (1 + 1e-12) else number
        if self.whole:
            return round(number)
        return min(max(self._rounded(number), self.low), self.high)

    def _strides(self, value: float) -> float:
        match self.scale:
            case "log":
                return math.log(value) / self.stride
            case "power of two":
                return math.log2(value) / self.stride
            case "odds":
                return math.log(value / (1 - value)) / self.stride
            case _:
                return (value - self.low) / self.stride

    def _number(self, coordinate: float) -> float:
        match self.scale:
            case "log":
                return math.exp(min(coordinate * self.stride, 700.0))
            case "power of two":
                return 2.0 ** round(min(coordinate * self.stride, 200.0))
            case "odds":
                return 1 / (1 + math.exp(min(-coordinate * self.stride, 700.0)))
            case _:
                return self.low + coordinate * self.stride

    def _rounded(self, number: float) -> float:
        """Two digits on a log scale, and about a fifth of a stride on a linear one."""
        match self.scale:
            case "log" | "power of two":
                return float(f"{number:.2g}")
            case "odds":
                return round(number, 2 - math.floor(math.log10(min(number, 1 - number))) - 1)
            case _ if self.step is not None:
                return float(f"{number:.10g}")
            case _:
                return round(number, max(0, math.ceil(-math.log10(self.stride / 5))))


def axes(constants: Iterable[Constant]) -> tuple[Axis, ...]:
    """The axes of the knobs that can be moved, in the genome's order."""
    found = (_axis(constant, constant.knob) for constant in constants if constant.knob is not None)
    return tuple(axis for axis in found if axis is not None)


def _axis(constant: Constant, value: Knob) -> Axis | None:
    name = constant.name
    match constant.range:
        case Fixed():
            return None
        case Choices(values):
            options = values if value in values else (value, *values)
            return Axis(name, False, "choice", choices=options) if len(options) > 1 else None
        case Interval() as interval if not isinstance(value, bool | str):
            return _stated(name, value, interval)
    match value:
        case bool():
            return Axis(name, False, "choice", choices=(False, True))
        case int():
            return _inferred_whole(name, value)
        case float():
            return _inferred(name, value)
    return None


def _stated(name: str, value: float, interval: Interval) -> Axis:
    whole, low, high = isinstance(value, int), float(interval.low), float(interval.high)
    match interval.scale:
        case "log":
            return Axis(name, whole, "log", low, high, min(_LN_STRIDE, math.log(high / low) / 4))
        case "power of two":
            low, high = 2.0 ** math.ceil(math.log2(low)), 2.0 ** math.floor(math.log2(high))
            return Axis(name, whole, "power of two", low, high)
    stride = (high - low) / 8
    if whole:
        stride = max(1.0, min(stride, abs(value) / 8))
    elif low < value < high:  # a share of 0.003 or a memory of 0.99 moves in steps of its own size
        stride = min(stride, max(min(value - low, high - value) / 2, stride / 8))
    return Axis(name, whole, "linear", low, high, max(stride, interval.step or 0.0), interval.step)


def _inferred_whole(name: str, value: int) -> Axis | None:
    if value >= 16 and value.bit_count() == 1:
        return Axis(name, True, "power of two", 1.0, float(value) * 2**8)
    if value < 0:
        return None  # -1 and its like are signs, not amounts
    return Axis(name, True, "linear", min(value, 1), max(4.0 * value, value + 4.0), max(1.0, value // 8))


def _inferred(name: str, value: float) -> Axis:
    rate = "LR" in name.split("_") or "RATE" in name.split("_")
    if value >= 1 or (rate and value > 0) or 0 < value < 0.01:
        return Axis(name, False, "log", value / _FACTOR, value * _FACTOR, _LN_STRIDE)
    if value > 0:
        return Axis(name, False, "odds", min(value, 0.001), max(value, 0.999), _LN_STRIDE)
    if value == 0:
        return Axis(name, False, "linear", 0.0, 1.0, 0.05)
    return Axis(name, False, "linear", 4 * value, -2 * value, -value / 4)
