"""How fast a run goes, and when it will be over at that pace: an estimate for people, not for decisions."""

from results.words import Limits
from results.writing import count, duration


class Pace:
    """How fast trials come to an end while someone watches; all times in monotonic seconds."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.last: float | None = None  # when the last trial ended
        self.finished: int | None = None  # trials of the run that have ended
        self.seen = 0  # of those, how many ended before our eyes

    def observe(self, now: float, finished: int) -> None:
        """Take note that `finished` trials of the run have ended by `now`."""
        if self.finished is not None and finished > self.finished:
            self.seen, self.last = self.seen + finished - self.finished, now
        self.finished = finished

    def left_s(self, now: float, limits: Limits) -> float | None:
        """Seconds until the first limit is met, or None if that cannot be told yet."""
        ends = []
        if limits.hours is not None:
            ends.append(self.began + 3600 * limits.hours)
        if limits.trials is not None and self.last is not None and self.finished is not None:
            each = (self.last - self.began) / self.seen
            ends.append(self.last + each * (limits.trials - self.finished))
        return max(0.0, min(ends) - now) if ends else None

    def budget(self, now: float, limits: Limits) -> str:
        """The budget in words: `5 of 16 trials · 1 m 12 s · about 2 m 40 s left`."""
        done = self.finished or 0
        trials = count(done, "trial") if limits.trials is None else f"{done} of {limits.trials} trials"
        parts = [trials, duration(now - self.began)]
        if (left := self.left_s(now, limits)) is not None:
            parts.append(f"about {duration(left)} left")
        return " · ".join(parts)
