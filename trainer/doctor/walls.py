"""Does the sandbox hold here, and can a training use the GPU inside it, and a model answer from inside it?"""

import sys
import tempfile

from trainer.checks.proof import Proof, proof
from trainer.doctor.child import Said, ask
from trainer.doctor.finding import Finding
from trainer.examining.examiner import ROOT
from trainer.running.log import one_line
from trainer.sandbox import confined, environment

# Not nvidia-smi, which is content where cuInit is not. Compiling needs a C compiler and caches.
CUDA = """
import torch
torch.cuda.init()
ones = torch.ones(8, device="cuda")
print("began", flush=True)
print(float(torch.compile(lambda x: x.sin() + x)(ones).sum()))
"""
CUDA_S = 120.0
BUFFER_S = 90.0


def sandbox(device: str) -> tuple[Finding, ...]:
    """What the sandbox denies here, a line for each gap, and two for the GPU if there is one."""
    found = walls(proof(), sys.platform)
    return (*found, cuda_inside(inside()), buffer(examined(device))) if device == "cuda" else found


def walls(proven: Proof, platform: str) -> tuple[Finding, ...]:
    """What follows from a proof on a platform, by Python's name for it."""
    if not proven.denied:  # it did not come so far as to try anything
        found = one_line("; ".join(gap.means for gap in proven.gaps))
        if platform == "linux":  # trials are started in the same way
            remedy = "see that Python may start programs here, or run with --sandbox off"
            return (Finding("sandbox", "missing", f"no trial can start: {found}", remedy),)
        return (Finding("sandbox", "warning", found, "models and agents need --sandbox off here"),)
    gaps = []
    for gap in proven.gaps:
        means, _, remedy = gap.means.rpartition("; ")
        means += ": a run with models or agents is refused" if gap.vital else ""
        gaps.append(Finding("sandbox", "warning", f"does not deny {gap.attempt}: {means}", remedy))
    if not proven.holds:
        return (*gaps,)
    tried = len(proven.denied) + len(proven.gaps)
    return (Finding("sandbox", "ok", f"holds: {len(proven.denied)} of {tried} ways out are closed"), *gaps)


def cuda_inside(said: Said) -> Finding:
    """What a confined training came to on the GPU."""
    if not said.problem:
        return Finding("CUDA inside", "ok", "starts and compiles in the sandbox")
    if "began" in said.out:
        return Finding(
            "CUDA inside", "missing", f"starts in the sandbox, but torch.compile fails: {said.problem}",
            "install a C compiler and Python's headers (build-essential, python3-dev)",
        )  # fmt: skip
    return Finding(
        "CUDA inside", "missing", f"does not start in the sandbox: {said.problem}",
        "run nvidia-smi once, which makes the device files, or run with --sandbox off",
    )  # fmt: skip


def buffer(said: Said) -> Finding:
    """What came of a confined model's answer through a buffer on the GPU."""
    if not said.problem:
        return Finding("exam buffer", "ok", "a confined model answers through memory of the GPU")
    return Finding(
        "exam buffer", "missing", f"a confined model cannot answer through the GPU's memory: {said.problem}",
        "update the driver (WSL needs 510 or newer), give a container --ipc=host, or run with --device cpu",
    )  # fmt: skip


def examined(device: str) -> Said:
    """Ask a confined model for logits on `device`, as an examiner would."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-P", "-m", "trainer.doctor.buffer_probe", device]
        env = environment(scratch, device, {"PYTHONPATH": str(ROOT)})
        return ask(command, BUFFER_S, env=env, folder=scratch)


def inside() -> Said:
    """Start CUDA, and compile for it, as a training would."""
    with tempfile.TemporaryDirectory() as scratch:
        command = confined([sys.executable, "-c", CUDA], "cuda")
        return ask(command, CUDA_S, env=environment(scratch, "cuda", {}), folder=scratch)
