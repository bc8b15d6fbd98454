"""What a training process says of itself while it runs: the candidate's own word, and never a score.

One JSON object a line: `{"event": "clock"}` when the budget starts, and now and then
`{"event": "step", "loss": 2.5, "steps": 10, "tokens": 40960}`, the loss in nats being the mean since the last
line. Anything else is ignored.
"""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

LONGEST = 4096  # bytes
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class Clock(Struct, frozen=True, tag_field="event", tag="clock"):
    """The budget starts now."""


class Step(Struct, frozen=True, tag_field="event", tag="step"):
    """How far it says it has come; the fraction of the budget is the harness's to measure."""

    loss: float | None = None
    steps: Count = 0
    tokens: Count = 0


_decoder: msgspec.json.Decoder[Clock | Step] = msgspec.json.Decoder(Clock | Step)


def parse(line: bytes) -> Clock | Step | None:
    """The event in a line, or None if there is none."""
    if len(line) > LONGEST:
        return None
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
