"""What does torch see of the machine, and which attention will it use? Asked of a child that imports it.

`asked` starts the child (`torch_probe.py`), `seen` and `attention` decide. What decides which attention is
used is `trainer/train.py`; this says the same from outside.
"""

import os
import re
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from trainer.doctor.child import ask
from trainer.doctor.finding import Finding
from trainer.doctor.stock import Stock
from trainer.preparing.kernel import HOPPER

PROGRAM = Path(__file__).resolve().parents[2]
PROBE_S = 90.0  # importing torch takes three seconds, from a cold disk half a minute
BFLOAT16 = (8, 0)  # the first capability whose tensor cores know it
ON_CPU = "or run with --device cpu"
_ARCH = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)$")


class Torch(Struct, frozen=True):
    """What torch says of itself, without any card but the first."""

    version: str
    cuda: str  # that it was built for; "" for none
    available: bool  # whether it can use CUDA here
    problem: str = ""  # why not, or what went wrong when it tried to compute
    capability: tuple[int, int] | None = None  # of the card
    architectures: tuple[str, ...] = ()  # it was compiled for, such as sm_90
    flash: str | None = (
        None  # "" if FlashAttention-3 loads, else why not; None if it is not there or not tried
    )


class Sight(Struct, frozen=True):
    """The child's answers; None where it did not come so far, and then why."""

    torch: Torch | None = None
    stock: Stock | None = None
    problem: str = ""


def asked(root: Path, device: str) -> Sight:
    """Ask a child what torch and `root`'s prepare.py see on `device`. Takes as long as importing torch."""
    env = os.environ | {
        "PYTHONPATH": str(PROGRAM),
        "LINEAGES_TASK": str(root),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    if device == "cpu":  # as trials are told then
        env["CUDA_VISIBLE_DEVICES"] = ""
    said = ask([sys.executable, "-P", "-m", "trainer.doctor.torch_probe", str(root)], PROBE_S, root, env)
    lines = [line for line in said.out.splitlines() if line.startswith("{")]
    try:
        torch = msgspec.json.decode(lines[0], type=Torch) if lines else None
        stock = msgspec.json.decode(lines[1], type=Stock) if len(lines) > 1 else None
    except msgspec.MsgspecError as error:
        return Sight(problem=f"an odd answer: {error}")
    return Sight(torch, stock, said.problem or ("" if stock else "no answer"))


def seen(sight: Sight, card: bool) -> Finding:
    """How torch stands; `card` says whether the driver shows a card that it should see."""
    torch = sight.torch
    if torch is None:
        return Finding("torch", "missing", f"cannot be imported: {sight.problem}", "uv sync installs it anew")
    if not card:
        return Finding("torch", "ok", f"{torch.version}, on the CPU")
    if not torch.cuda:
        return Finding(
            "torch", "missing", f"{torch.version} is built without CUDA, and there is a card",
            f"install torch for CUDA (uv sync does on Linux), {ON_CPU}",
        )  # fmt: skip
    if not torch.available:
        return Finding(
            "torch", "missing", f"{torch.version} for CUDA {torch.cuda} cannot use the card: {torch.problem}",
            f"update NVIDIA's driver to one for CUDA {torch.cuda} or newer, {ON_CPU}",
        )  # fmt: skip
    return _able(torch)


def _able(torch: Torch) -> Finding:
    capability = torch.capability or (0, 0)
    name = ".".join(map(str, capability))
    found = f"{torch.version} for CUDA {torch.cuda}, capability {name}"
    if not runs_on(capability, torch.architectures):
        return Finding(
            "torch", "missing", f"{found}, but it was compiled for {', '.join(torch.architectures)} only",
            f"install a torch that is built for your card, {ON_CPU}",
        )  # fmt: skip
    if torch.problem:
        return Finding(
            "torch", "missing", f"{found}, but a small computation failed: {torch.problem}",
            f"see that no other program fills or blocks the card, restart the driver, {ON_CPU}",
        )  # fmt: skip
    if capability < BFLOAT16:
        return Finding(
            "torch", "warning", f"{found}: no bfloat16 in hardware, so trials are slow and may fail",
            f"use a card of capability 8.0 (Ampere) or newer, {ON_CPU}",
        )  # fmt: skip
    return Finding("torch", "ok", found)


def attention(sight: Sight, fetched: bool) -> Finding:
    """Which attention a training uses; `fetched` says whether FlashAttention-3 lies beside the data."""
    torch = sight.torch
    if torch is None:
        return Finding("attention", "warning", "unknown, since torch did not answer")
    if not torch.available:
        return Finding("attention", "ok", "scaled_dot_product_attention, as always on a CPU")
    if torch.capability != HOPPER:
        return Finding("attention", "ok", "FlexAttention; FlashAttention-3 is for Hopper cards only")
    if not fetched:
        return Finding(
            "attention", "warning", "FlexAttention, since FlashAttention-3 has not been fetched: fewer steps",
            "uv run prepare.py fetches it, with a network",
        )  # fmt: skip
    if torch.flash:
        return Finding(
            "attention", "warning", f"FlexAttention, since FlashAttention-3 does not load: {torch.flash}",
            "rm -r data/flash-attn3, and uv run prepare.py fetches it anew",
        )  # fmt: skip
    return Finding("attention", "ok", "FlashAttention-3")


def runs_on(capability: tuple[int, int], architectures: tuple[str, ...]) -> bool:
    """Whether a card of this capability can run what was compiled for these.

    Machine code (sm) serves its own major version from its minor on, with the suffix a only its very own;
    intermediate code (compute) serves everything from its own on. After the CUDA programming guide. True if
    nothing is known.
    """
    return not architectures or any(_serves(name, *capability) for name in architectures)


def _serves(architecture: str, major: int, minor: int) -> bool:
    match = _ARCH.match(architecture)
    if match is None:
        return False
    kind, suffix = match[1], match[4]
    made = int(match[2]), int(match[3])
    if suffix == "a":
        return made == (major, minor)
    if kind == "compute" and not suffix:
        return made <= (major, minor)
    return made[0] == major and made[1] <= minor
