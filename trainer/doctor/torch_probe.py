"""The child that imports torch, so that the scheduler need not: `python -m trainer.doctor.torch_probe ROOT`.

Prints two lines of JSON as soon as it knows them: a `sight.Torch`, then a `stock.Stock`. Nothing is fetched.
"""

import contextlib
import importlib
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from trainer.doctor.sight import Torch
from trainer.doctor.stock import Stock
from trainer.preparing.kernel import HOPPER, NAME
from trainer.running.log import one_line


def main(root: Path) -> None:
    with contextlib.redirect_stdout(sys.stderr):  # what is imported may chatter
        torch = see_torch(root)
    print(msgspec.json.encode(torch).decode(), flush=True)
    with contextlib.redirect_stdout(sys.stderr):
        stock = see_stock(root)
    print(msgspec.json.encode(stock).decode(), flush=True)


def see_torch(root: Path) -> Torch:
    """Import torch and, where it can, compute something on the card."""
    import torch

    version, built = str(torch.__version__), str(torch.version.cuda or "")
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        why = one_line(str(complaints[0].message)) if complaints else "it sees no device"
        return Torch(version, built, available=False, problem=why)
    return Torch(
        version,
        built,
        available=True,
        problem=_computed(torch),
        capability=torch.cuda.get_device_capability(),
        architectures=tuple(torch.cuda.get_arch_list()),
        flash=_flash(torch, root / "data" / NAME),
    )


def _computed(torch: ModuleType) -> str:
    """Why a small product in bfloat16 does not work on the card; empty if it does."""
    try:
        ones = torch.ones(64, 64, dtype=torch.bfloat16, device="cuda")
        return "" if float((ones @ ones).sum()) == 64**3 else "a product of ones is wrong"
    except RuntimeError as error:
        return one_line(str(error))


def _flash(torch: ModuleType, folder: Path) -> str | None:
    """Why FlashAttention-3 does not load; empty if it does, None if it is not there or not for this card."""
    if torch.cuda.get_device_capability() != HOPPER or not folder.is_dir():
        return None
    try:
        kernels: Any = importlib.import_module("kernels")
        kernels.get_local_kernel(folder).flash_attn_func  # noqa: B018
    except (AttributeError, ImportError, OSError, RuntimeError, ValueError) as error:
        return one_line(f"{type(error).__name__}: {error}")
    return ""


def see_stock(root: Path) -> Stock:
    """Which profile prepare.py would use here, and whether its data is there or in a cache."""
    from trainer.exam import load_prepare

    try:
        prepare: Any = load_prepare(root / "prepare.py")
    except (SystemExit, ImportError, OSError, SyntaxError, RuntimeError) as error:
        return Stock(problem=one_line(str(error)))
    profile = prepare.PROFILE
    return Stock(
        profile=profile.name,
        device=str(prepare.DEVICE.type),
        budget_s=profile.budget_s,
        ready=prepare.ready(),
        shards=profile.shards,
        cached=_cached(profile.shards) if profile.shards else 0,
    )


def _cached(shards: int) -> int:
    """How many of the shards that are needed are in Hugging Face's cache."""
    from huggingface_hub import try_to_load_from_cache

    from trainer.preparing.corpus import CLIMBMIX, VALIDATION_SHARD

    names = [f"shard_{number:05d}.parquet" for number in (*range(shards), VALIDATION_SHARD)]
    found = [try_to_load_from_cache(CLIMBMIX, name, repo_type="dataset") for name in names]
    return sum(isinstance(path, str) for path in found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
