"""What 14 constants of autoresearch's train.py do to val_bpb on an H200, learned from real trials.

A table of trials has the columns method, seed, trial, val_bpb (null where the trial failed), success and the
constants of `NAMES`; the public ones are of github.com/ferreirafabio/autoresearch-automl. What is learned:

- the score: an ensemble of small networks on log(val_bpb - FLOOR), their mean and, so that a search gains
  nothing by going where nobody has been, `CAUTION` times the standard deviation by which they disagree there.
  FLOOR bounds it from below in any case;
- failure, which repeats show to be no chance event (of 953 repeated configurations 4 did both): a threshold
  on the activations and weights that fill the memory, found by logistic regression;
- the noise of a trial: how far the same constants differ between sessions. All these trials had one training
  seed, so that this stands for what another seed would do, and is if anything too little.

Scores are in bits per byte; lower is better.
"""

import hashlib
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from filelock import FileLock

from population.records import Knob
from trainer.errors import BadInput

Array: TypeAlias = npt.NDArray[np.float64]

NAMES: Final = (
    "DEPTH", "ASPECT_RATIO", "HEAD_DIM", "DEVICE_BATCH_SIZE", "TOTAL_BATCH_SIZE", "EMBEDDING_LR",
    "UNEMBEDDING_LR", "MATRIX_LR", "SCALAR_LR", "WEIGHT_DECAY", "WARMUP_RATIO", "WARMDOWN_RATIO",
    "FINAL_LR_FRAC", "WINDOW_PATTERN",
)  # fmt: skip
VERSION: Final = 1  # raise it when a change here can change a fitted model
FLOOR: Final = 0.955  # bpb; below anything reached in five minutes on this machine
CAUTION: Final = 0.5
VOCABULARY: Final = 8192
STEPS: Final = 2000  # of training

_NETS, _HIDDEN, _BATCH = 8, 64, 256
_RATE, _DECAY = 5e-3, 0.2
_T3_MEDIAN: Final = 0.76489  # of the absolute value of Student's t with 3 degrees of freedom


@dataclass(frozen=True)
class Model:
    """A fitted model. Networks are stacked: weights [nets, in, out], biases [nets, 1, out]."""

    centre: Array  # of the features [features]
    spread: Array
    target: Array  # mean and standard deviation of log(val_bpb - FLOOR)
    weights1: Array
    biases1: Array
    weights2: Array
    biases2: Array
    weights3: Array
    biases3: Array
    memory: Array  # weights of `_memory`; it does not fit where the sum is positive
    noise: Array  # scale in bpb of Student's t with 3 degrees of freedom, [1]

    def score(self, constants: Mapping[str, Knob]) -> float:
        """Noiseless val_bpb of constants that fit into memory."""
        return float(self.scores(np.array([_features(constants)]))[0])

    def scores(self, features: Array) -> Array:
        """[n] scores of [n, features]."""
        hidden = _silu((features - self.centre) / self.spread @ self.weights1 + self.biases1)
        hidden = _silu(hidden @ self.weights2 + self.biases2)
        out = (hidden @ self.weights3 + self.biases3)[..., 0]
        mean, std = self.target
        return np.asarray(FLOOR + np.exp(mean + std * (out.mean(0) + CAUTION * out.std(0))))

    def fails(self, constants: Mapping[str, Knob]) -> bool:
        """Whether training runs out of memory."""
        return float(np.dot(self.memory, _memory(constants))) > 0


def load(file: Path, cache: Path | None = None, steps: int = STEPS) -> Model:
    """The model of the trials in `file`, fitted once and kept in `cache`.

    That is by default `lineages` in $XDG_CACHE_HOME or ~/.cache. Two processes that ask at once fit it once.
    Raises BadInput for a file that cannot be read or lacks what is needed.
    """
    if not file.is_file():
        raise BadInput(f"{file}: no such file; it should hold trials as a parquet table")
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lineages"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"h200-{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}-v{VERSION}-{steps}.npz"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            _save(fit(read(file), steps), kept)
        with np.load(kept, allow_pickle=False) as arrays:
            return Model(**arrays)


def read(file: Path) -> pl.DataFrame:
    """The trials whose constants are all known, for a method that turned only these."""
    try:
        table = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInput(f"{file}: not a parquet table ({error})") from error
    if missing := {"method", "seed", "trial", "val_bpb", "success", *NAMES} - set(table.columns):
        raise BadInput(f"{file}: the table lacks {', '.join(sorted(missing))}")
    if table.filter(pl.col("val_bpb") <= FLOOR).height:
        raise BadInput(f"{file}: a val_bpb of {FLOOR} or less, which no trial of this kind has reached")
    rewriters = table.filter(pl.any_horizontal(pl.col(NAMES).is_null()))["method"].unique()
    return table.filter(~pl.col("method").is_in(rewriters.implode()))


def fit(trials: pl.DataFrame, steps: int = STEPS) -> Model:
    """A model of trials as `read` gives them; the same every time, on one machine."""
    noise, memory = _noise(trials), _memory_limit(trials)
    scored = trials.filter("success").group_by(NAMES, maintain_order=True).agg(pl.col("val_bpb").median())
    features = np.array([_features(row) for row in scored.iter_rows(named=True)])
    target = np.log(scored["val_bpb"].to_numpy() - FLOOR)
    centre, spread = features.mean(0), features.std(0)
    spread[spread == 0] = 1.0
    ends = np.array([target.mean(), target.std()])
    layers = _train((features - centre) / spread, (target - ends[0]) / ends[1], steps)
    return Model(centre, spread, ends, memory=memory, noise=noise, **layers)


def _features(constants: Mapping[str, Knob]) -> list[float]:
    """The constants on scales where a step means the same everywhere, and sizes that follow from them."""
    depth, aspect, head, rows, batch = (float(constants[name]) for name in NAMES[:5])
    width = _width(constants)
    size = math.log2(depth * width**2 + VOCABULARY * width)
    scales = (depth, width, head, rows, batch, *(float(constants[name]) for name in NAMES[5:9]))
    fractions = (float(constants[name]) for name in NAMES[9:13])
    window = (float(letter == "S") for letter in str(constants["WINDOW_PATTERN"]))
    rounding = math.log2(depth * aspect / width)
    return [*map(math.log2, scales), *fractions, *window, size, size + math.log2(batch), rounding]


def _memory(constants: Mapping[str, Knob]) -> list[float]:
    """What memory goes to, in units that bring each term near 1: activations, logits, weights."""
    depth, rows, width = float(constants["DEPTH"]), float(constants["DEVICE_BATCH_SIZE"]), _width(constants)
    return [
        rows * depth * width / 2**20,
        rows * width / 2**17,
        rows / 2**7,
        depth * width**2 / 2**25,
        width / 2**10,
        1.0,
    ]


def _width(constants: Mapping[str, Knob]) -> float:
    """Channels of the residual stream: a whole number of heads."""
    depth, aspect, head = (float(constants[name]) for name in NAMES[:3])
    return math.ceil(depth * aspect / head) * head


def _silu(x: Array) -> Array:
    return x * (0.5 + 0.5 * np.tanh(0.5 * x))  # an exponential could overflow


def _train(features: Array, target: Array, steps: int) -> dict[str, Array]:
    """Weights and biases of networks that see different batches, by the names of `Model`."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.tensor(features).float(), torch.tensor(target).float()
    sizes = (x.shape[1], _HIDDEN, _HIDDEN, 1)
    weights = [torch.randn(_NETS, a, b, generator=draw) / a**0.5 for a, b in pairwise(sizes)]
    layers = [part for w in weights for part in (w, torch.zeros(_NETS, 1, w.shape[2]))]
    for layer in layers:
        layer.requires_grad_()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    optimizer = torch.optim.AdamW(layers, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randint(len(x), (_NETS, _BATCH), generator=draw)
        loss = torch.nn.functional.smooth_l1_loss(_forward(layers, x[batch]), y[batch], beta=0.3)
        optimizer.zero_grad()
        (loss * _NETS).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)
    names = (f"{part}{n}" for n in (1, 2, 3) for part in ("weights", "biases"))
    return {name: layer.detach().double().numpy() for name, layer in zip(names, layers, strict=True)}


def _forward(layers: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """[nets, n, features] -> [nets, n]"""
    for weights, biases in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        x = torch.nn.functional.silu(torch.baddbmm(biases, x, weights))
    return torch.baddbmm(layers[-1], x, layers[-2])[..., 0]


def _memory_limit(trials: pl.DataFrame) -> Array:
    """Logistic regression of failing on `_memory`, by Newton's method with a slight ridge."""
    terms = np.array([_memory(row) for row in trials.iter_rows(named=True)])
    failed = (~trials["success"]).to_numpy().astype(float)
    weights = np.zeros(terms.shape[1])
    for _ in range(200):
        chance = 1 / (1 + np.exp(-np.clip(terms @ weights, -30, 30)))
        slope = terms.T @ (failed - chance) - 1e-3 * weights
        curvature = (terms.T * (chance * (1 - chance))) @ terms + 1e-3 * np.eye(len(weights))
        weights += np.clip(np.linalg.solve(curvature, slope), -20, 20)
    return weights


def _noise(trials: pl.DataFrame) -> Array:
    """Scale of the noise, from configurations below 1 bpb that were tried in more than one session.

    Their deviations from their means are heavy-tailed: the scale is the one for which Student's t with 3
    degrees of freedom has their median. Its standard deviation is sqrt(3) times that.
    """
    sessions = trials.filter(pl.col("val_bpb") < 1.0).unique(["method", "seed", *NAMES], maintain_order=True)
    score, count = pl.col("val_bpb"), pl.len()
    deviation = (score - score.mean()) * (count / (count - 1)).sqrt()
    apart = sessions.select(deviation.over(NAMES), count.over(NAMES).alias("count")).filter(
        pl.col("count") > 1
    )
    if apart.is_empty():
        raise BadInput("no constants were tried in two sessions, so that there is no telling the noise")
    return np.array([apart["val_bpb"].abs().median()], dtype=np.float64) / _T3_MEDIAN


def _save(model: Model, file: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".partial", delete=False) as partial:
        np.savez(partial, **{field.name: getattr(model, field.name) for field in fields(model)})
    Path(partial.name).replace(file)
