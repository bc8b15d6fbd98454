"""Do the clocks agree? Budgets go by the monotonic one, the journal by the wall clock."""

import time

from msgspec import Struct

from trainer.doctor.finding import Finding

LOOK_S = 0.5
TOLERANCE_S = 0.1  # a busy machine may look away between two readings
OLDEST = 1_735_689_600.0  # 2025: a clock before that was never set


class Moment(Struct, frozen=True):
    """A while by both clocks."""

    wall_s: float
    monotonic_s: float
    now: float  # unix seconds
    zone: str


def clock() -> Finding:
    """The clocks, over half a second."""
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(LOOK_S)
    now = time.time()
    return judged(Moment(now - wall, time.monotonic() - monotonic, now, time.strftime("%Z %z")))


def judged(moment: Moment) -> Finding:
    """What follows."""
    when = f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(moment.now))} {moment.zone}"
    remedy = "set the clock and let it be kept: timedatectl set-ntp true"
    if moment.now < OLDEST:
        return Finding("clock", "warning", f"{when}: never set, so keys and downloads may be refused", remedy)
    apart_s = moment.wall_s - moment.monotonic_s
    if abs(apart_s) > TOLERANCE_S:
        found = f"{when}; the wall clock moved by {apart_s:+.2f} s against the monotonic one: it is being set"
        return Finding("clock", "warning", found, remedy)
    return Finding("clock", "ok", f"{when}; wall and monotonic clock agree")
