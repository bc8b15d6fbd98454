"""What machine this is, and how the first genome is sized to it.

`sizing` gives the constants of `train.py` that differ from its committed values, which are for one card of
80 GB. They are a first guess that a person would make, not a search: improving on them is the program's
work. Nothing here imports torch.
"""

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]
import pynvml  # type: ignore[import-untyped]
from msgspec import Struct

from trainer.errors import BadInput

MIB = 2**20

Constant = int | float | str


class Machine(Struct, frozen=True):
    """The part of a computer that a trial gets; memory in MiB. Without a GPU its name is empty."""

    device: str  # cpu or cuda
    gpu: str
    gpu_memory_mib: int
    cores: int  # that this process may run on
    memory_mib: int


class Card(Struct, frozen=True):
    """The CUDA device that torch would call number 0."""

    name: str
    memory_mib: int


def detect(device: Literal["auto", "cpu", "cuda"] = "auto") -> Machine:
    """This machine; with `auto`, on CUDA if there is a card. Raises BadInput for cuda without one."""
    card = None if device == "cpu" else first_card()
    if device == "cuda" and card is None:
        raise BadInput(
            "--device cuda needs an NVIDIA GPU and its driver, and none is visible; use cpu or auto"
        )
    return Machine(
        device="cuda" if card else "cpu",
        gpu=card.name if card else "",
        gpu_memory_mib=card.memory_mib if card else 0,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1,
        memory_mib=psutil.virtual_memory().total // MIB,
    )


def first_card() -> Card | None:
    """The first GPU that CUDA_VISIBLE_DEVICES leaves, or None. Slices of a GPU (MIG) are not looked into."""
    with contextlib.suppress(pynvml.NVMLError), _nvml() as handle:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return Card(str(pynvml.nvmlDeviceGetName(handle)), int(memory.total) // MIB)
    return None


def gpu_memory_mb(pids: Collection[int], alone: bool = True) -> float:
    """MiB of the first GPU that processes hold, as far as its driver knows their numbers.

    In a container it often does not, and for a part of a card never. For processes that have the card to
    themselves (`alone`) it is then all that is in use, which is little more.
    """
    with contextlib.suppress(pynvml.NVMLError), _nvml() as handle:
        held = _held_by(pids, handle)
        return (held or (int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) if alone else 0)) / MIB
    return 0.0


def gpu_utilisation() -> float | None:
    """Of the last sixth of a second to second, the part (0 to 1) in which the first GPU computed anything.

    None without a card, or if its driver does not tell. How much of the card computed is not in it.
    """
    with contextlib.suppress(pynvml.NVMLError), _nvml() as handle:
        return int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
    return None


def _held_by(pids: Collection[int], handle: Any) -> int:
    """Bytes of a GPU's memory that processes hold, as far as the driver knows."""
    with contextlib.suppress(pynvml.NVMLError):
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        known = {each.pid: each.usedGpuMemory or 0 for each in running}
        return sum(known.get(pid, 0) for pid in pids)
    return 0


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """The driver's handle of the first visible GPU. Raises NVMLError if there is none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    pynvml.nvmlInit()
    try:
        if visible.isdecimal():
            yield pynvml.nvmlDeviceGetHandleByIndex(int(visible))
        else:  # a name; "" and -1 are nobody's
            yield _named(visible)
    finally:
        pynvml.nvmlShutdown()


def _named(name: str) -> Any:
    """The GPU of this UUID or of one that begins so, which is enough for CUDA. Raises NVMLError."""
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    for handle in handles if name else ():
        if str(pynvml.nvmlDeviceGetUUID(handle)).startswith(name):
            return handle
    return pynvml.nvmlDeviceGetHandleByUUID(name)


def sizing(profile: str, machine: Machine) -> dict[str, Constant]:
    """Constants to rewrite in the first genome for `profile` (h100, gpu, cpu or a task's own: none)."""
    match profile:
        case "h100":
            return _passes(machine.gpu_memory_mib)
        case "gpu":
            return _card(machine.gpu_memory_mib)
        case "cpu":
            return dict(CPU)
        case _:
            return {}


def _passes(memory_mib: int) -> dict[str, Constant]:
    """The same 2^18 tokens a step, in as many passes as fit. A pass takes about 0.25 MiB a token."""
    if memory_mib >= 70_000:
        return {}
    rows, passes = (32, 4) if memory_mib >= 38_000 else (16, 8) if memory_mib >= 20_000 else (8, 16)
    return {"BATCH_SIZE": rows, "ACCUMULATION": passes}


def _card(memory_mib: int) -> dict[str, Constant]:
    """A shallower model and smaller steps the less memory there is, which goes with speed.

    Estimated from the activations of one pass, not measured; on consumer cards five layers beat eight in five
    minutes (autoresearch, pull request 332).
    """
    for least_mib, depth, rows, passes in (
        (38_000, 8, 64, 2),
        (20_000, 6, 32, 2),
        (11_000, 5, 16, 2),
        (7_000, 4, 8, 4),
    ):
        if memory_mib >= least_mib:
            return {"DEPTH": depth, "ASPECT_RATIO": 64, "BATCH_SIZE": rows, "ACCUMULATION": passes}
    return {"DEPTH": 3, "ASPECT_RATIO": 64, "BATCH_SIZE": 4, "ACCUMULATION": 4}


# Ten seconds on two cores, T 128 and V 512: a narrow model, full attention (the context is short anyway),
# small batches for the sake of more steps. About 150 steps, where the committed values expect a thousand.
CPU: dict[str, Constant] = {
    "DEPTH": 4,
    "ASPECT_RATIO": 16,
    "HEAD_DIM": 32,
    "WINDOW_PATTERN": "L",
    "BATCH_SIZE": 16,
    "ACCUMULATION": 1,
    "MOMENTUM_RAMP": 50,
}
