"""The training loss over the budget: one figure for each twentieth of it.

What a training process tells now and then is noisy and comes at moments of its own; the means of equal parts
of the budget can be laid beside those of another training. They are the candidate's own word and never a
score.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

PARTS: Final = 20
_HIGHEST: Final = 1e6  # nats; what is told beyond, on either side, counts as this

# Means in nats: of the first part of the budget, the second, and so on to the last in which a loss was told.
# None for a part in which none was.
Curve: TypeAlias = tuple[float | None, ...]


class Curving:
    """A curve in the making."""

    def __init__(self) -> None:
        self._told: list[list[float]] = [[] for _ in range(PARTS)]

    def tell(self, fraction: float, loss: float) -> None:
        """Take in a loss that was told at `fraction` (0 to 1) of the budget."""
        self._told[min(int(fraction * PARTS), PARTS - 1)].append(max(-_HIGHEST, min(loss, _HIGHEST)))

    def until(self, fraction: float) -> Curve:
        """The curve of all parts that are over at `fraction` of the budget."""
        means = [_mean(part) for part in self._told[: int(fraction * PARTS)]]
        while means and means[-1] is None:
            means.pop()
        return tuple(means)


def behind(curve: Curve, limits: Curve) -> tuple[float, float] | None:
    """The loss and the limit of the first part that went beyond it, where one did.

    A limit is the highest that `recent` may be after a part; None, and a part that none is given for, has no
    limit.
    """
    for part, limit in enumerate(limits[: len(curve)]):
        loss = recent(curve, part)
        if limit is not None and loss is not None and loss > limit:
            return loss, limit
    return None


def recent(curve: Curve, part: int) -> float | None:
    """The mean loss of the latest quarter of what was trained by the end of a part, two parts at least.

    Batches differ by more than genomes do, and the loss falls ever more slowly. None where it is unknown.
    """
    latest = curve[max(part + 1 - max(2, (part + 1) // 4), 0) : part + 1]
    known = [loss for loss in latest if loss is not None]
    return sum(known) / len(known) if part and len(known) == len(latest) else None


def final(curve: Curve) -> float | None:
    """The mean loss of the latest quarter of the whole budget; None where it is unknown."""
    return recent(curve, PARTS - 1) if len(curve) == PARTS else None


def _mean(losses: Sequence[float]) -> float | None:
    return round(sum(losses) / len(losses), 5) if losses else None
