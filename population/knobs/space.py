"""The space a genome's knobs span: one axis a knob, measured in strides.

A stride is a sensible first step: a factor of 1.5 for what has a scale, one exponent for powers of two, at
most an eighth of a stated range, one unit for small whole numbers. In strides, a learning rate and a depth
can be searched by one optimiser. Choices (and flips) count from 0 in the order given and have no distance.

Where a comment states no range, one is inferred from name and value; strings without choices stay as they
are. So do seeds, which belong to the harness, and knobs whose range leaves them no other value or is beyond
what floats can measure: no text of a range, and no value, makes anything here raise.
"""

import math
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from population.genome import Choices, Constant, Fixed, Interval, names_seed
from population.records import Knob

_LN_STRIDE: Final = math.log(1.5)
_FACTOR: Final = 100.0  # how far an inferred log scale reaches from the present value, both ways
_HUGE: Final = 1e100  # what is larger, or smaller than its reciprocal, is not measured
_EXACT: Final = 2**53  # floats hold all whole numbers up to this


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

    def value(self, coordinate: float, finer: int = 0) -> Knob:
        """The value at a coordinate cut to the bounds, rounded as a person would write it, inside the range.

        `finer` is a number of digits more than that, for those axes whose values are not counted.
        """
        low, high = self.bounds
        coordinate = min(max(float(coordinate), low), high)
        if self.scale == "choice":
            return self.choices[round(coordinate)]
        number = min(max(self._number(coordinate), self.low), self.high)
        if self.step is not None:
            return self._stepped(round((number - self.low) / self.step))
        number = min(max(self._rounded(number, finer), self.low), self.high)
        return round(number) if self.whole else number

    def values(self, most: int) -> tuple[Knob, ...] | None:
        """All its values in order, or None if there are more than `most` or they are not counted."""
        match self.scale:
            case "choice":
                return self.choices if len(self.choices) <= most else None
            case "power of two":
                count = math.log2(self.high) - math.log2(self.low)
            case _ if self.step is not None:
                count = self._steps
            case _:
                count = self.high - self.low if self.whole else math.inf
        if count >= most:
            return None
        return tuple(self._nth(n) for n in range(round(count) + 1))

    def _nth(self, n: int) -> Knob:
        if self.step is not None:
            return self._stepped(n)
        number = self.low * 2.0**n if self.scale == "power of two" else self.low + n
        return round(number) if self.whole else number

    @property
    def _steps(self) -> int:
        """How many steps lead from `low` to the highest value."""
        return math.floor((self.high - self.low) / (self.step or 1.0) * (1 + 1e-12))

    def _stepped(self, n: int) -> Knob:
        number = self.low + min(n, self._steps) * (self.step or 1.0)
        return round(number) if self.whole else min(max(float(f"{number:.10g}"), self.low), self.high)

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
                return math.exp(coordinate * self.stride)
            case "power of two":
                return 2.0 ** round(coordinate * self.stride)
            case "odds":
                return 1 / (1 + math.exp(-coordinate * self.stride))
            case _:
                return self.low + coordinate * self.stride

    def _rounded(self, number: float, finer: int) -> float:
        """Two digits on a log scale, and about a fifth of a stride on a linear one."""
        match self.scale:
            case "power of two":
                return number
            case "log":
                return float(f"{number:.{2 + finer}g}")
            case "odds":
                return round(number, 1 + finer - math.floor(math.log10(min(number, 1 - number))))
            case _:
                return round(number, max(0, math.ceil(-math.log10(self.stride / 5))) + finer)


def axes(constants: Iterable[Constant]) -> tuple[Axis, ...]:
    """The axes of the knobs that can be moved, in the genome's order."""
    found = (_axis(constant, constant.knob) for constant in constants if constant.knob is not None)
    return tuple(axis for axis in found if axis is not None)


def _axis(constant: Constant, value: Knob) -> Axis | None:
    name = constant.name
    if names_seed(name):
        return None
    match constant.range:
        case Fixed():
            return None
        case Choices(values):
            return _choice(name, value, values)
        case Interval() as interval if not isinstance(value, bool | str):
            return _stated(name, value, interval)
    match value:
        case bool():
            return _choice(name, value, (False, True))
        case int():
            return _inferred_whole(name, value)
        case float():
            return _inferred(name, value)
    return None


def _choice(name: str, value: Knob, options: tuple[Knob, ...]) -> Axis | None:
    """An axis of the options that differ from each other, the present value among them."""
    if isinstance(value, float):  # numbers are spelt in the manner of the one they replace
        options = tuple(float(option) if type(option) is int else option for option in options)
    different = tuple(dict.fromkeys(options if value in options else (value, *options)))
    return Axis(name, False, "choice", choices=different) if len(different) > 1 else None


def _stated(name: str, value: float, interval: Interval) -> Axis | None:
    """The axis of a stated range; None if the range leaves less than two values or cannot be measured."""
    whole, low, high, step = isinstance(value, int), interval.low, interval.high, interval.step
    if whole:
        if step is not None and (step % 1 or low % 1):
            return None
        low, high = math.ceil(low), math.floor(high)
    if not _measurable(low, high, whole, step or high - low) or (
        interval.scale != "linear" and low < 1 / _HUGE
    ):
        return None
    low, high = float(low), float(high)
    match interval.scale:
        case "log":
            stride = min(_LN_STRIDE, (math.log(high) - math.log(low)) / 4)
            return Axis(name, whole, "log", low, high, stride) if stride > 0 else None
        case "power of two":
            low, high = 2.0 ** math.ceil(math.log2(low)), 2.0 ** math.floor(math.log2(high))
            return Axis(name, whole, "power of two", low, high) if low < high else None
    return Axis(name, whole, "linear", low, high, _stride(value, low, high, step), step)


def _measurable(low: float, high: float, whole: bool, step: float) -> bool:
    largest = _EXACT if whole else _HUGE
    return low < high and max(-low, high) <= largest and 1 / _HUGE <= step <= high - low


def _stride(value: float, low: float, high: float, step: float | None) -> float:
    stride = (high - low) / 8
    if isinstance(value, int):
        stride = max(1.0, min(stride, abs(value) / 8))
    elif low < value < high:  # a share of 0.003 or a memory of 0.99 moves in steps of its own size
        stride = min(stride, max(min(value - low, high - value) / 2, stride / 8))
    return max(stride, step or 0.0)


def _inferred_whole(name: str, value: int) -> Axis | None:
    if not 0 <= value <= _EXACT // 2**8:  # -1 and its like are signs, not amounts
        return None
    if value >= 16 and value.bit_count() == 1:
        return Axis(name, True, "power of two", 1.0, float(value) * 2**8)
    return Axis(name, True, "linear", min(value, 1), max(4.0 * value, value + 4.0), max(1.0, value // 8))


def _inferred(name: str, value: float) -> Axis | None:
    if value and not _FACTOR / _HUGE <= abs(value) <= _HUGE / _FACTOR:
        return None
    rate = "LR" in name.split("_") or "RATE" in name.split("_")
    if value >= 1 or (rate and value > 0) or 0 < value < 0.01:
        return Axis(name, False, "log", value / _FACTOR, value * _FACTOR, _LN_STRIDE)
    if value > 0:
        return Axis(name, False, "odds", min(value, 0.001), max(value, 0.999), _LN_STRIDE)
    if value == 0:
        return Axis(name, False, "linear", 0.0, 1.0, 0.05)
    return Axis(name, False, "linear", 4 * value, -2 * value, -value / 4)
