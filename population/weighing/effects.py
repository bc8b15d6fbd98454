"""What a change does to a score: a prior over effects, learned from a run's own trials.

Effects are in sigmas, the standard deviation of one trial; negative is better. An effect is nothing at
all, or a gain or a loss from exponentials of several scales. How much of each there is follows from all
trials of the run by expectation maximisation, beginning with what published traces show: adaptive
shrinkage (Stephens 2017, Biostatistics 18, 275), with a Dirichlet prior on the shares. Where most changes
do nothing a run learns to doubt, where gains are common to believe. Everything lives on one grid, so that
any shape of noise would do; the noise here has heavy tails (one trial in twenty is three times as noisy).
"""

import math
from typing import Any, Final, Self, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

_STEPS: Final = np.concatenate([np.full(16, 0.25), 0.25 * 1.25 ** np.arange(1, 22)])  # denser near nothing
_REACH: Final = np.concatenate([[0.0], np.cumsum(_STEPS)])
GRID: Final[Array] = np.concatenate([-_REACH[:0:-1], _REACH])  # [G] effects in sigmas, -137 to 137
NOTHING: Final = len(_STEPS)  # index of no effect
_WIDTH: Final[Array] = np.gradient(GRID)
_SCALES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# Shares before any trial, from six H100 traces (642 trials, sigma 0.4 mbpb): the difference to the
# incumbent is -2.2 sigmas or less in 5% of trials, -0.8 in 10%, above 2.5 in half, above 6.2 in a quarter,
# 15 in 10%.
_NULL_SHARE: Final = 0.10
_GAIN_SHARES: Final = 0.20 * np.array([0.20, 0.30, 0.25, 0.15, 0.06, 0.03, 0.01])
_LOSS_SHARES: Final = 0.70 * np.array([0.08, 0.15, 0.20, 0.22, 0.18, 0.10, 0.07])
_FIELD: Final[Array] = np.concatenate([[_NULL_SHARE], _GAIN_SHARES, _LOSS_SHARES])
_WEIGHT: Final = 10.0  # trials that the field's shares count for
_ROUNDS: Final = 12  # of expectation maximisation; more change no verdict
_TAIL_SHARE: Final = 0.05
_TAIL: Final = 3.0
_FAR: Final = 8.0  # sigmas beyond which the prior is flat against the noise
_BEYOND: Final = 1e3  # standard deviations that nothing lies beyond, so that squares stay numbers
_TABLE: Final[Array] = np.sinh(np.linspace(-7.0, 7.0, 801))  # differences at which `density` is tabulated
_MEMORY: Final = 400  # trials that the shares are learned from, the latest


class Effect(Struct, frozen=True, gc=False):
    """What is known of one change's effect, in sigmas; negative is better."""

    mean: float
    sd: float
    p_better: float  # that it is a gain; no effect at all counts for half
    hope: float  # expected gain if the change is kept only where it is one, 0 or more


def _shapes() -> Array:
    """[K, G] the parts of the mixture as densities on the grid: nothing, gains, losses."""
    rows = [np.eye(len(GRID))[NOTHING]]
    for side in (-1, 1):
        for scale in _SCALES:
            row = np.exp(-np.abs(GRID) / scale) * _WIDTH * (np.sign(GRID) == side)
            rows.append(row / row.sum())
    return np.array(rows)


_SHAPES: Final = _shapes()


def likelihood(differences: Array, sd: Array | float) -> Array:
    """[n, G] likelihood of observed differences [n], each with noise `sd`, for every effect of the grid.

    Where the grid is coarse the noise is widened by half its step, so that no difference falls between.
    """
    within = np.minimum(np.maximum(differences, GRID[0]), GRID[-1])[:, None]
    wide = np.sqrt(np.square(np.reshape(sd, (-1, 1))) + _COARSE)
    squares = np.square((within - GRID) / wide)
    tail = np.exp(squares * (-0.5 / _TAIL**2)) * (_TAIL_SHARE / _TAIL)
    density: Array = ((1 - _TAIL_SHARE) * np.exp(-0.5 * squares) + tail) / wide
    return density


_COARSE: Final[Array] = np.square(np.maximum(_WIDTH - 0.3, 0.0) / 2)
_TABLED: Final = likelihood(_TABLE, 1.0)


class Effects:
    """The prior over effects of one run, at one moment."""

    def __init__(self, shares: Array) -> None:
        """`shares` [K] of the mixture's parts sum to 1."""
        self.shares = shares
        self.prior: Array = shares @ _SHAPES  # [G]
        self._density: Array | None = None

    @classmethod
    def before(cls) -> Self:
        """What is believed before the first trial."""
        return cls(_FIELD)

    def learned(self, differences: Array, sd: Array) -> "Effects":
        """What is believed after these differences [n] to a base, with noise `sd` [n], from `self` on."""
        parts = likelihood(differences[-_MEMORY:], sd[-_MEMORY:]) @ _SHAPES.T
        shares = self.shares
        for _ in range(_ROUNDS):
            weighed = parts * shares
            counts = (weighed / weighed.sum(1, keepdims=True)).sum(0)
            shares = (counts + _WEIGHT * _FIELD) / (len(parts) + _WEIGHT)
        return Effects(shares)

    def posterior(self, differences: Array, sd: Array | float, prior: Array | None = None) -> Array:
        """[n, G] what each change does, given its difference; `prior` [n, G] or [G] in place of the run's."""
        weighed = likelihood(differences, sd) * (self.prior if prior is None else prior)
        posterior: Array = weighed / weighed.sum(1, keepdims=True)
        return posterior

    def log_density(self, differences: Array) -> Array:
        """Log density of single trials' differences to a base that is known exactly, any shape."""
        if self._density is None:
            self._density = np.log(_TABLED @ self.prior)
        density: Array = np.interp(differences, _TABLE, self._density)
        return density


def normal(mean: float, sd: float) -> Effect:
    """The figures of an effect that is distributed normally."""
    if sd <= 0:
        return Effect(mean, 0.0, 0.5 if mean == 0 else float(mean < 0), max(-mean, 0.0))
    far = min(max(mean / sd, -_BEYOND), _BEYOND)
    below = 0.5 * math.erfc(far / math.sqrt(2))
    return Effect(mean, sd, below, sd * math.exp(-0.5 * far**2) / math.sqrt(2 * math.pi) - mean * below)


def obvious(differences: Array, sd: Array) -> NDArray[np.bool_]:
    """[n] which differences [n] are so far beyond their noise `sd` [n] that they are taken at face value.

    There the grid is coarse, and shrinkage nothing: the effect is `normal(difference, sd)`.
    """
    return np.abs(differences) > _FAR * np.maximum(sd, 1.0)


def summary(posterior: Array) -> Effect:
    """The figures of one posterior [G]."""
    return summaries(posterior[None])[0]


def summaries(posteriors: Array) -> list[Effect]:
    """The figures of each of some posteriors [n, G]."""
    means, sds = moments(posteriors)
    gains = posteriors[:, :NOTHING]
    better = gains.sum(1) + posteriors[:, NOTHING] / 2
    hopes = -np.vecdot(gains, GRID[:NOTHING])
    columns = means, sds, better, hopes
    return [Effect(*figures) for figures in zip(*(column.tolist() for column in columns), strict=True)]


def moments(posteriors: Array) -> tuple[Array, Array]:
    """Means [n] and standard deviations [n] of some posteriors [n, G]."""
    means = np.vecdot(posteriors, GRID)
    variances = np.vecdot(posteriors, np.square(GRID - means[:, None]))
    return means, np.sqrt(np.maximum(variances, 0.0))


def joint(parts: Array, prior: Array, surprise: float) -> Array:
    """[G] prior of several changes made together, from their posteriors [n, G].

    Their effects add up, approximately normal; with probability `surprise` they act on each other, and it is
    as with any change.
    """
    means = parts @ GRID
    mean = float(means.sum())
    variance = float((parts @ np.square(GRID) - np.square(means)).sum()) + 0.01
    bell = np.exp(-0.5 * np.square(GRID - mean) / (variance + _COARSE)) * _WIDTH
    together: Array = (1 - surprise) * bell / bell.sum() + surprise * prior
    return together
