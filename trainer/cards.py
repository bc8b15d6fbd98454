"""The GPUs of this machine by the names that the driver gives them, which are the same for every process.

A number in CUDA_VISIBLE_DEVICES means one card to a process that sees all of them, and another to one that
sees a few. Slices of a GPU (MIG) go by the names that CUDA_VISIBLE_DEVICES gives them.
"""

import contextlib
import os

import pynvml  # type: ignore[import-untyped]

CHOSEN = "CUDA_VISIBLE_DEVICES"


def visible() -> tuple[str, ...]:
    """The cards that CUDA_VISIBLE_DEVICES leaves, or all; in its order, and none without a driver."""
    present = _present()
    if CHOSEN not in os.environ or not present:
        return present
    found: list[str] = []
    for entry in os.environ[CHOSEN].split(","):
        if (name := _name(entry.strip(), present)) is None:
            break  # CUDA does not look further either
        found.append(name)
    return tuple(found)


def own() -> str:
    """The card of a process that sees one; where no driver tells, what CUDA_VISIBLE_DEVICES calls it."""
    return next(iter(visible()), os.environ.get(CHOSEN) or "cuda")


def _name(entry: str, present: tuple[str, ...]) -> str | None:
    if entry.isdecimal():
        return present[int(entry)] if int(entry) < len(present) else None
    if entry.startswith("MIG-"):
        return entry
    return next((name for name in present if entry and name.startswith(entry)), None)


def _present() -> tuple[str, ...]:
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        try:
            handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
            return tuple(str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles)
        finally:
            pynvml.nvmlShutdown()
    return ()
