"""What only a card can show: skipped without one.

    uv run pytest tests/test_gpu.py        # some minutes, most of them compilation

The card should be idle. No data is fetched: tokens are drawn here, and mean nothing.
"""

import importlib.util
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from population import genome
from population.records import Knob
from trainer.doctor import sight, walls
from trainer.doctor.child import Said
from trainer.examining.server import serve
from trainer.hardware import MIB, detect, gpu_memory_mb, gpu_utilisation, sizing
from trainer.outcome import Completed, Crashed, Report
from trainer.preflight import TOO_MUCH, Preflight
from trainer.task import Task, open_task
from trainer.trial import Order, run_trial

DEVICE, PROFILE = "cuda", "gpu"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        detect().device != DEVICE, reason="no NVIDIA card is visible to its driver (NVML): nothing to test on"
    ),
    # Inductor, when it is imported, complains of what torch does elsewhere.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
]

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "trainer" / "train.py").read_text()
PREPARE = (ROOT / "prepare.py").read_text()
LENGTH, VOCABULARY = 1024, 8192  # of the profile
SHALLOW: dict[str, Knob] = {
    "DEPTH": 2,
    "ASPECT_RATIO": 128,
    "WINDOW_PATTERN": "SL",
    "BATCH_SIZE": 8,
    "ACCUMULATION": 1,
}
SLACK_MB = 64.0  # by which what is in use on an idle card may differ from one moment to the next


def loaded(folder: Path, patch: pytest.MonkeyPatch, text: str) -> Any:
    """train.py with this text, beside the real prepare.py, as a trial on the card imports them."""
    patch.setenv("LINEAGES_PROFILE", PROFILE)
    patch.setenv("LINEAGES_TASK", str(ROOT))  # where FlashAttention-3 lies, if it was fetched
    for name, content in (("prepare", PREPARE), ("train", text)):
        (folder / f"{name}.py").write_text(content)
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec and spec.loader
        module: ModuleType = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        yield loaded(tmp_path_factory.mktemp("genome"), patch, genome.rewrite(TEXT, SHALLOW))


@pytest.fixture(autouse=True)
def clean_card() -> Iterator[None]:
    """Each test begins with what the others allocated in this process given back."""
    torch.manual_seed(0)
    torch.cuda.empty_cache()
    yield
    torch._dynamo.reset()


def tokens(rows: int = 8) -> torch.Tensor:
    return torch.randint(VOCABULARY, (rows, LENGTH), device=DEVICE)


# --- the machine -------------------------------------------------------------------------------------------


def test_torch_computes_on_the_card_that_the_driver_shows() -> None:
    finding = sight.seen(sight.asked(ROOT, DEVICE), card=True)
    assert finding.status != "missing", finding


def test_cuda_starts_and_compiles_in_the_sandbox() -> None:
    finding = walls.cuda_inside(walls.inside())
    assert finding.status == "ok", finding


# --- memory and use ----------------------------------------------------------------------------------------


def test_memory_held_on_the_card_is_counted() -> None:
    torch.zeros(1, device=DEVICE)  # the context, which takes some hundred MiB
    before = gpu_memory_mb([os.getpid()])
    held = torch.zeros(512 * MIB, dtype=torch.uint8, device=DEVICE)
    assert gpu_memory_mb([os.getpid()]) - before == pytest.approx(held.numel() / MIB, abs=SLACK_MB)


def test_memory_of_no_process_is_what_is_in_use_only_for_who_is_alone() -> None:
    held = torch.zeros(512 * MIB, dtype=torch.uint8, device=DEVICE)
    assert gpu_memory_mb([]) > held.numel() / MIB
    assert gpu_memory_mb([], alone=False) == 0.0


def test_a_card_that_computes_is_busier_than_one_that_does_not() -> None:
    time.sleep(3.0)
    idle = gpu_utilisation()
    matrix = torch.ones(4096, 4096, device=DEVICE)
    seen, until = [], time.monotonic() + 3.0
    while time.monotonic() < until:
        for _ in range(20):
            matrix = matrix @ matrix
        torch.cuda.synchronize()
        seen.append(gpu_utilisation() or 0.0)
    assert idle is not None and idle < 0.5 < max(seen) <= 1.0


@pytest.mark.slow
def test_the_estimate_is_right_within_the_factor_it_is_trusted_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = genome.rewrite(TEXT, sizing(PROFILE, detect()))
    train = loaded(tmp_path, monkeypatch, text)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model = train.build_model()
    train.warm_up(model, train.Optimiser(model), torch.compile(train.cross_entropy, dynamic=False))
    peak_mb = (torch.cuda.max_memory_allocated() - before) / MIB
    task = Task(str(ROOT), PREPARE, "val_bpb", 300.0, 240.0, "", PROFILE, DEVICE)
    why = Preflight(task, str(tmp_path / "scratch"), peak_mb / 4)(text)
    found = re.search(r"needs about ([\d,]+) MB", why or "")
    assert found, f"a quarter of {peak_mb:,.0f} MB was not refused: {why}"
    assert peak_mb / TOO_MUCH < float(found[1].replace(",", "")) < peak_mb * TOO_MUCH


# --- attention and precision -------------------------------------------------------------------------------


def plainly(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, length: int) -> torch.Tensor:
    """Attention [B, T, H, D] over a window by its definition, with the matrix of all scores, in float32."""
    far = torch.arange(LENGTH, device=DEVICE)
    far = far[:, None] - far
    scores = torch.einsum("bqhd,bkhd->bhqk", queries, keys) / math.sqrt(queries.size(-1))
    scores = scores.masked_fill((far < 0) | (far >= length), -torch.inf)
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), values)


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 100, 128, LENGTH])
def test_the_kernel_of_this_card_attends_as_the_definition_does(train: Any, length: int) -> None:
    heads = [torch.randn(2, LENGTH, 2, 128, device=DEVICE, dtype=torch.bfloat16) for _ in range(3)]
    weights = torch.randn(2, LENGTH, 2, 128, device=DEVICE)
    found = []
    with train.prepare.DEVICE:
        kernel = train.Window(length).kernel
    assert kernel is not None
    for attend, dtype in ((kernel, torch.bfloat16), (partial(plainly, length=length), torch.float32)):
        inputs = [x.to(dtype).requires_grad_() for x in heads]
        attended = attend(*inputs)
        (attended.float() * weights).sum().backward()
        found.append([attended, *(x.grad for x in inputs)])
    for ours, exact in zip(*found, strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), exact, atol=0.05, rtol=0.05)


def test_the_card_scores_what_the_cpu_does_in_full_precision(
    train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = train.build_model(), tokens(2), tokens(2)
    torch.nn.init.normal_(model.unembedding, std=0.05)
    with torch.no_grad():
        on_card = train.cross_entropy(model, inputs, targets).item()
        weights = {name: weight.cpu() for name, weight in model.state_dict().items()}
        monkeypatch.setattr(train.prepare, "DEVICE", torch.device("cpu"))
        other = train.build_model()
        other.load_state_dict(weights)
        exact = train.cross_entropy(other, inputs.cpu(), targets.cpu()).item()
    assert on_card == pytest.approx(exact, abs=0.02)


@pytest.mark.slow
def test_a_compiled_step_loses_what_an_eager_one_does(train: Any) -> None:
    losses = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model, batch = train.build_model(), tokens()
        optimiser = train.Optimiser(model)
        loss_of = torch.compile(train.cross_entropy, dynamic=False) if compiled else train.cross_entropy
        for _ in range(3):
            loss = loss_of(model, batch, batch)
            loss.backward()
            optimiser.step(rate=1.0, momentum=0.9, decay=0.1)
            losses.append(loss.item())
    assert losses[3:] == pytest.approx(losses[:3], rel=0.02)


# --- the exam ----------------------------------------------------------------------------------------------

TABLE = f"""
import torch
def build_model(): return torch.nn.Embedding({VOCABULARY}, {VOCABULARY})
"""


def test_a_confined_model_answers_through_memory_of_the_card() -> None:
    assert walls.examined(DEVICE) == Said("")


def test_two_models_answer_through_large_buffers_and_neither_disturbs_the_other(tmp_path: Path) -> None:
    table = torch.randn(VOCABULARY, VOCABULARY)
    (tmp_path / "train.py").write_text(TABLE)
    save_file({"weight": table}, tmp_path / "weights.safetensors")
    shape, some = (4, LENGTH, VOCABULARY), tokens(4).cpu()  # 128 MiB: a segment of its own
    with serve(tmp_path, DEVICE, shape) as first, serve(tmp_path, DEVICE, shape) as second:
        one, other = first.logits(some), second.logits(some.flip(0)[:3])
        assert one.device.type == DEVICE
        assert torch.equal(one.cpu(), table[some])
        assert torch.equal(other.cpu(), table[some.flip(0)[:3]])


# --- whole trials ------------------------------------------------------------------------------------------


TOKEN_BYTES = 4  # said of each, so that a guess among all of them is not too bad to be true


def task_of_noise(folder: Path) -> Task:
    """The default task with tokens that are drawn: no model learns much of them, or is implausible."""
    chance = np.random.default_rng(0)
    for name, rows in (("data", 4096), ("heldout", 64)):
        (folder / name / PROFILE).mkdir(parents=True)
        drawn = chance.integers(0, VOCABULARY, (rows, LENGTH + 1)).astype("<u2")
        (folder / name / PROFILE / "rows.u16").write_bytes(drawn.tobytes())
    lengths = json.dumps([TOKEN_BYTES] * VOCABULARY)
    (folder / "heldout" / PROFILE / "byte_lengths.json").write_text(lengths)
    return Task(str(folder), PREPARE, "val_bpb", 15.0, 240.0, "", PROFILE, DEVICE)


@pytest.mark.slow
def test_a_short_trial_trains_on_the_card_and_is_examined_there(tmp_path: Path) -> None:
    text = genome.rewrite(TEXT, SHALLOW)
    phases: list[str] = []
    order = Order(1, text, 0, task_of_noise(tmp_path), str(tmp_path / "log"), str(tmp_path / "scratch"))
    report = run_trial(order, lambda progress: phases.append(progress.phase))
    log = (tmp_path / "log").read_text()
    assert isinstance(report.outcome, Completed), (report.outcome, log)
    guess = math.log2(VOCABULARY) / TOKEN_BYTES
    assert 0.98 * guess < report.outcome.score < 1.5 * guess
    assert report.usage.steps > 10 and report.usage.peak_memory_mb > 200
    assert list(dict.fromkeys(phases)) == ["startup", "training", "exam"]
    assert re.search(r"^attention: Fl(ashAttention-3|exAttention)$", log, re.MULTILINE)


TOY = """
METRIC, BUDGET_S = "loss", 120
def examine(submission, serve): return {"loss": float((submission / "loss").read_text())}
"""
LEAVES = """
import os, pathlib, torch
places = [os.environ[name] for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "HOME")]
places += ["/dev/shm", "/tmp", pathlib.Path.home() / ".nv"]
found = [str(place) for place in places if pathlib.Path(place, "marker").exists()]
compiled = torch.compile(lambda x: x.sin() + x)(torch.ones(8, device="DEVICE"))
held = torch.full((256, 2**20), 7, dtype=torch.uint8, device="DEVICE")
for place in places:
    try:
        pathlib.Path(place).mkdir(exist_ok=True)
        pathlib.Path(place, "marker").write_text("for the next")
    except OSError:
        pass
print("found", found)
(pathlib.Path(os.environ["LINEAGES_SUBMISSION"]) / "loss").write_text("1")
WAITS
"""


def toy_trial(folder: Path, number: int, text: str) -> Report:
    task = folder / "task"
    if not task.exists():
        task.mkdir()
        for name, content in (("prepare.py", TOY), ("train.py", ""), ("program.md", "")):
            (task / name).write_text(content)
    told = open_task(task, DEVICE)
    text = text.replace("DEVICE", DEVICE)
    order = Order(number, text, 0, told, str(folder / f"{number}.log"), str(folder / "scratch"))
    return run_trial(order, lambda progress: None)


@pytest.mark.slow
def test_two_trials_after_another_share_neither_caches_nor_memory_of_the_card(tmp_path: Path) -> None:
    before = gpu_memory_mb([])
    for number in (1, 2):
        report = toy_trial(tmp_path, number, LEAVES.replace("WAITS", ""))
        log = (tmp_path / f"{number}.log").read_text()
        assert isinstance(report.outcome, Completed), (report.outcome, log)
        assert "found []" in log
        assert report.usage.peak_memory_mb > 200
        assert gpu_memory_mb([]) - before < SLACK_MB


@pytest.mark.slow
def test_a_trial_that_dies_while_it_computes_leaves_the_card_as_it_was(tmp_path: Path) -> None:
    before = gpu_memory_mb([])
    report = toy_trial(tmp_path, 1, LEAVES.replace("WAITS", "os.abort()"))
    assert isinstance(report.outcome, Crashed)
    assert gpu_memory_mb([]) - before < SLACK_MB


@pytest.mark.slow
def test_running_out_of_memory_on_the_card_is_a_crash_with_that_reason(tmp_path: Path) -> None:
    eats = 'import torch\nkept = [torch.ones(2**28, device="DEVICE") for _ in range(10_000)]\n'
    outcome = toy_trial(tmp_path, 1, eats).outcome
    assert isinstance(outcome, Crashed) and "out of memory" in outcome.reason
