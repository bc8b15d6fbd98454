"""Whether a model's answers are a causal model's: two servers of one submission, each asked every row once.

The first server is asked all rows, in batches and an order that follow from the system's randomness. The
second is asked some of them, in other company and another order: most with the future behind a cut replaced
by another row's, the rest as they are. No server sees a row, or any beginning of one, in two versions. So a
model that remembers what it was asked, counts its calls or answers by the place in a batch has nothing to
recognise, and whatever it drew from tokens to come, from other rows or from the past of its process it must
have drawn without them on the other side.

Kernels round otherwise in other company, bfloat16 coarsely: the bounds below are far above that.

What a cheat can still do:

- Draw a little from the future and drown it in noise of its own. Noise is bounded where it counts, in nats of
  the true token, which leaves LEAK_SIGMAS * 2 * MOST_NOISE / sqrt(spliced rows): 0.003 nats a token for 768
  rows. Noise costs its maker too, half its square in nats.
- Look ahead in few places. A leak at one place of N is found where a cut falls just behind such a place: it
  passes with a probability of exp(-spliced rows / N) and is worth an N-th of the loss. At one of 768, for 768
  spliced rows, that is 37% and 1.3 mbpb; for the 96 rows of the cpu profile, a hundredth of the loss. Whoever
  measures the best again, as a run does at its end, examines it again.
- Learn a little from other rows of the validation set while it is asked them, as long as the mean gain is
  below MOST_LEAK and no logit moves by more than MOST_CHANGE.
- Pass notes from one server to the other through channels that `trainer.sandbox` does not close: what the
  kernel counts for all, the load of the machine, the timing of caches.
- Know validation text from before: nothing here can tell that from having learned.
"""

import math
from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows: TypeAlias = npt.NDArray[np.uint16]  # [N, T + 1]: inputs, and targets one further
Picks: TypeAlias = npt.NDArray[np.int64]  # numbers of rows
Answer: TypeAlias = tuple[Tensor, Tensor]  # logits float32 [B, T, V] and targets int64 [B, T]

# The spacing of bfloat16 is 0.06 near 15, where logits are often capped. Eight times that is no rounding.
MOST_CHANGE = 0.5  # of any logit
# Rounding moves the surprise at a token by thousandths of a nat in bfloat16, by millionths in float32.
MOST_NOISE = 0.01  # nats a token, the mean of absolute changes
# Rounding helps and harms alike; only what it should not know makes a model better on average. One thousandth
# of a nat a token is about 0.3 mbpb at four bytes a token, below what a trial can resolve.
MOST_LEAK = 1e-3  # nats a token, if also clear of the noise by
LEAK_SIGMAS = 4.0
UNCHANGED = 4  # one in so many rows is asked again as it is


class Server(Protocol):
    """A model that answers in another process."""

    def logits(self, tokens: Tensor, /) -> Tensor:
        """float32 [B, T, V] of int64 [B, T]; valid until the next call."""


def answers(first: Server, second: Server, rows: Rows, batch_size: int, probes: int) -> Iterator[Answer]:
    """Logits of the first server and targets, of all rows, each once; valid until the next is asked for.

    The second is asked `probes` batches of the same size, at most half of the rows. Raises ValueError, in one
    line, as soon as the two disagree by too much, or behind the last answer if they do so on average.
    """
    chance = np.random.default_rng()  # from the system: a candidate must not foresee it
    order = chance.permutation(len(rows))
    probed, rest = np.split(chance.permutation(len(rows)), [min(probes * batch_size, len(rows) // 2)])
    comparison = _Comparison(second, rows, chance, donors=rest)
    chosen = np.isin(order, probed)
    for start in range(0, len(rows), batch_size):
        numbers = order[start : start + batch_size]
        block = torch.from_numpy(rows[numbers].astype(np.int64))
        logits = first.logits(block[:, :-1])
        yield logits, block[:, 1:]
        for place in np.flatnonzero(chosen[start : start + batch_size]):
            comparison.keep(int(numbers[place]), logits[place])
            if len(comparison.kept) == batch_size:
                comparison.ask()
    if comparison.kept:
        comparison.ask()
    comparison.judge()


class _Comparison:
    """What the second server says to rows that the first has answered; keeps a batch of logits at most."""

    def __init__(self, second: Server, rows: Rows, chance: np.random.Generator, donors: Picks) -> None:
        self.kept: list[tuple[int, Tensor]] = []  # numbers of rows, and the first server's logits [T, V]
        self._second, self._rows, self._chance = second, rows, chance
        self._donors = iter(donors.tolist())  # rows the second is not asked otherwise; each is used once
        # By how many nats more the second is surprised at a token: in rows that are as they were, before a
        # cut, and at the last token before one.
        self._same: list[Tensor] = []
        self._before: list[Tensor] = []
        self._last: list[Tensor] = []

    def keep(self, number: int, logits: Tensor) -> None:
        self.kept.append((number, logits.clone()))

    def ask(self) -> None:
        """Ask the second server for all that was kept, and compare. Raises ValueError."""
        kept = [self.kept[place] for place in self._chance.permutation(len(self.kept))]
        self.kept.clear()
        cuts = self._cuts(len(kept))
        block = torch.from_numpy(self._rows[[number for number, _ in kept]].astype(np.int64))
        inputs, targets = block[:, :-1].clone(), block[:, 1:]
        for row, cut in enumerate(cuts):
            if cut < inputs.shape[1]:
                inputs[row, cut:] = torch.from_numpy(self._rows[next(self._donors), cut:-1].astype(np.int64))
        found = self._second.logits(inputs)
        # Rows that were not changed come first: what disagrees there is no sign of looking ahead.
        for row in sorted(range(len(kept)), key=lambda row: -cuts[row]):
            self._compare(kept[row][1], found[row], targets[row], cuts[row])

    def _cuts(self, count: int) -> list[int]:
        """Where the future of each row begins: T for one in UNCHANGED, else evenly spread over 1 to T - 1."""
        length = self._rows.shape[1] - 1
        same = -(-count // UNCHANGED)
        spread = (np.arange(count - same) + self._chance.random(count - same)) / max(1, count - same)
        cuts = [length] * same + (1 + spread * (length - 1)).astype(int).tolist()
        return [cuts[place] for place in self._chance.permutation(count)]

    def _compare(self, one: Tensor, other: Tensor, targets: Tensor, cut: int) -> None:
        """Logits [T, V] of both servers for a row that both saw alike up to its cut."""
        one, other, targets = one[:cut], other[:cut], targets[:cut].to(one.device)
        spliced = cut < self._rows.shape[1] - 1
        if not torch.allclose(one, other, rtol=0.0, atol=MOST_CHANGE):
            raise ValueError(
                "the model looks ahead: its logits change with tokens that come after them"
                if spliced
                else "the model answers the same row otherwise in another batch, order or process"
            )
        worse = (surprise(other, targets) - surprise(one, targets)).cpu()
        if not spliced:
            self._same.append(worse)
            return
        self._before.append(worse[:-1])
        # The last logits before the cut predict the first replaced token, so whatever a model takes from
        # anywhere in the future shows there.
        self._last.append(worse[-1:])

    def judge(self) -> None:
        """Raises ValueError if the servers disagree on average."""
        same, before, last = (_finite(values) for values in (self._same, self._before, self._last))
        noise = max(_mean(same.abs()), _mean(before.abs()))
        if noise > MOST_NOISE:
            raise ValueError(f"the model's answers to the same tokens differ by {noise:.4f} nats on average")
        # Measured where there is nothing to gain, and capped: who looks ahead in few places, or makes noise
        # in few, must not widen the doubt that it is judged with.
        sigma = min(float(same.std()) if len(same) > 1 else 0.0, 2 * MOST_NOISE)
        if _clear(same, sigma):
            raise ValueError(
                f"the model learns from what it is asked: {_mean(same):.4f} nats a token come of it"
            )
        if _clear(last, sigma):
            raise ValueError(
                f"the model looks ahead: it draws {_mean(last):.4f} nats a token from tokens to come"
            )


def surprise(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats, float32 of the shape of `targets`; logits float32 [..., V]."""
    flat = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, -2), targets.flatten(), reduction="none"
    )
    return flat.view(targets.shape)


def _finite(values: list[Tensor]) -> Tensor:
    """All that are finite in one, float64: a token that was ruled out says nothing of its neighbours."""
    together = torch.cat([*values, torch.empty(0)]).double()
    return together[together.isfinite()]


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else 0.0


def _clear(worse: Tensor, sigma: float) -> bool:
    """Whether the second server is worse on average by more than may be, and more than noise explains."""
    return _mean(worse) > max(MOST_LEAK, LEAK_SIGMAS * sigma / math.sqrt(max(1, len(worse))))
