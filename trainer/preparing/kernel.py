"""Fetches FlashAttention-3, which training uses on Hopper GPUs, to where a training may read it.

A trial has no network, no home and no Hugging Face cache, and the `kernels` package asks the network which
version of a kernel is cached; so the build for this machine is copied into the task's data folder.
"""

import importlib.util
import shutil
from pathlib import Path

NAME = "flash-attn3"  # trainer/train.py looks for it under this name
REPOSITORY = f"kernels-community/{NAME}"
VERSION = 1
HOPPER = (9, 0)


def fetch(data: Path) -> str:
    """Put the kernel into the folder `data` if this machine can use it; says in one line what came of it.

    Failing is no error: training then uses FlexAttention, which comes with torch.
    """
    import torch

    if not torch.cuda.is_available() or torch.cuda.get_device_capability() != HOPPER:
        return "attention: FlashAttention-3 is for Hopper GPUs, and this machine has none"
    if importlib.util.find_spec("kernels") is None:
        return "attention: FlashAttention-3 needs the package `kernels`, which is not installed"
    if (data / NAME).is_dir():
        return f"attention: FlashAttention-3 is in {data / NAME} already"
    return copy_build(data)


def copy_build(data: Path) -> str:
    """Fetch the build for this machine through `kernels`, and copy it whole or not at all."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]
    from kernels import install_kernel  # type: ignore[import-untyped]

    partial = data / f".{NAME}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(install_kernel(REPOSITORY, version=VERSION), partial)
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        return f"attention: no FlashAttention-3 ({type(error).__name__}: {' '.join(str(error).split())})"
    partial.rename(data / NAME)
    return f"attention: FlashAttention-3 is in {data / NAME}"
