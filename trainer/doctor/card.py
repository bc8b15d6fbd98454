"""Is there a GPU that a run can have to itself? Asked of the driver (NVML), not of torch.

`look` reads the machine, `judged` decides. Slices of a card (MIG) are not looked into, nor are a display's
processes, which are few and small.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pynvml  # type: ignore[import-untyped]
from msgspec import Struct

from trainer.doctor.finding import Finding
from trainer.hardware import MIB

PCI = Path("/sys/bus/pci/devices")
NVIDIA, AMD = "0x10de", "0x1002"
DISPLAY = "0x03"  # first byte of a PCI class: graphics and 3D controllers
SHARED = pynvml.NVML_COMPUTEMODE_DEFAULT  # any other mode lets one process in, or none
IDLE_MIB = 1024  # a driver may hold so much of an idle card for itself
SMALL_MIB = 6_000  # contexts of a trainer, an examiner and two model servers leave little of less
ON_CPU = "trials run on the CPU: profile cpu, 10 s each"


class Holder(Struct, frozen=True):
    """A process that computes on a card."""

    pid: int
    name: str  # "" if it is another user's or outside this container


class Card(Struct, frozen=True):
    """A GPU as its driver describes it."""

    uuid: str
    name: str
    memory_mib: int
    used_mib: int
    mode: int = SHARED
    holders: tuple[Holder, ...] = ()


class Graphics(Struct, frozen=True):
    """What there is to compute on beside the CPU."""

    driver: str = ""  # its version; "" if none answers
    cuda: str = ""  # the newest CUDA it can serve
    cards: tuple[Card, ...] = ()
    problem: str = ""  # why no driver answers, in its own words
    vendors: tuple[str, ...] = ()  # PCI vendors of display controllers
    visible: str | None = None  # CUDA_VISIBLE_DEVICES


def gpu() -> tuple[Finding, ...]:
    """The machine's GPU, or what its absence means."""
    return (judged(look()),)


def judged(graphics: Graphics) -> Finding:
    """What follows from what there is."""
    card = chosen(graphics)
    if card is None:
        return _without(graphics)
    found = f"{card.name}, {card.memory_mib:,} MiB, driver {graphics.driver} (CUDA {graphics.cuda})"
    if len(graphics.cards) > 1:
        found += f"; one of {len(graphics.cards)}, CUDA_VISIBLE_DEVICES chooses"
    if card.mode != SHARED:
        return Finding(
            "GPU", "missing", f"{found}; its compute mode is exclusive, but training and exam share a card",
            "sudo nvidia-smi --compute-mode=DEFAULT",
        )  # fmt: skip
    if card.holders or card.used_mib > IDLE_MIB:
        return Finding(
            "GPU", "warning", f"{found}; {_taken(card)}: scores and memory suffer",
            "stop what else computes there (nvidia-smi lists it); one trial at a time needs the whole card",
        )  # fmt: skip
    if card.memory_mib < SMALL_MIB:
        return Finding(
            "GPU", "warning", f"{found}; less memory than the genome is sized for",
            "--device cpu if trials run out of memory",
        )  # fmt: skip
    return Finding("GPU", "ok", found)


def chosen(graphics: Graphics) -> Card | None:
    """The card that torch would call number 0."""
    if graphics.visible is None:
        return next(iter(graphics.cards), None)
    first = graphics.visible.split(",")[0].strip()
    if first.isdecimal():
        return graphics.cards[int(first)] if int(first) < len(graphics.cards) else None
    return next((card for card in graphics.cards if first and card.uuid.startswith(first)), None)


def _without(graphics: Graphics) -> Finding:
    if graphics.cards:
        found = f"CUDA_VISIBLE_DEVICES={graphics.visible!r} hides {len(graphics.cards)} of them"
        return Finding("GPU", "warning", f"{found}, so {ON_CPU}", "unset CUDA_VISIBLE_DEVICES")
    if NVIDIA in graphics.vendors:
        why = graphics.problem or "it shows no card"
        return Finding(
            "GPU", "warning", f"an NVIDIA card, but its driver does not answer ({why}), so {ON_CPU}",
            "install its driver until nvidia-smi works; a container needs --gpus all",
        )  # fmt: skip
    if AMD in graphics.vendors:
        return Finding("GPU", "ok", f"none by NVIDIA, and AMD's are not supported; {ON_CPU}")
    return Finding("GPU", "ok", f"none, so {ON_CPU}")


def _taken(card: Card) -> str:
    if not card.holders:
        return f"{card.used_mib:,} MiB are in use by what cannot be seen from here"
    named = [f"{holder.name or 'process'} ({holder.pid})" for holder in card.holders[:3]]
    more = [f"{len(card.holders) - 3} more"] if len(card.holders) > 3 else []
    return f"{', '.join(named + more)} use it, {card.used_mib:,} MiB in all"


def look() -> Graphics:
    """Ask the driver and the bus. Takes a tenth of a second; a driver that is stuck may never answer."""
    graphics = Graphics(vendors=_vendors(), visible=os.environ.get("CUDA_VISIBLE_DEVICES"))
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Graphics(problem=str(error), vendors=graphics.vendors, visible=graphics.visible)
    try:
        version = int(pynvml.nvmlSystemGetCudaDriverVersion())
        return Graphics(
            driver=str(pynvml.nvmlSystemGetDriverVersion()),
            cuda=f"{version // 1000}.{version % 1000 // 10}",
            cards=tuple(
                _card(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())
            ),
            vendors=graphics.vendors,
            visible=graphics.visible,
        )
    except pynvml.NVMLError as error:
        return Graphics(problem=str(error), vendors=graphics.vendors, visible=graphics.visible)
    finally:
        pynvml.nvmlShutdown()


def _card(handle: Any) -> Card:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    mode, running = SHARED, []
    with contextlib.suppress(pynvml.NVMLError):  # not every card knows of these
        mode = int(pynvml.nvmlDeviceGetComputeMode(handle))
        running = list(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return Card(
        uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
        name=str(pynvml.nvmlDeviceGetName(handle)),
        memory_mib=int(memory.total) // MIB,
        used_mib=int(memory.used) // MIB,
        mode=mode,
        holders=tuple(Holder(each.pid, _name(each.pid)) for each in running),
    )


def _name(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return str(psutil.Process(pid).name())
    return ""


def _vendors() -> tuple[str, ...]:
    found = set()
    with contextlib.suppress(OSError):
        for device in PCI.iterdir():
            if (device / "class").read_text().startswith(DISPLAY):
                found.add((device / "vendor").read_text().strip())
    return tuple(sorted(found))
