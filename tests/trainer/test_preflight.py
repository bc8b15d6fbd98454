"""A genome that cannot be trained costs no turn on the GPU, and one that can is never held back."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from broken_genomes import BROKEN, MAIN, UNRUNNABLE
from good_genomes import FIRST, GOOD, STACK, Edits, made
from scripts import printed

from trainer.checks import static
from trainer.preflight import TOO_MUCH, Heard, Needs, Preflight, estimate_mb, verdict
from trainer.running.launch import Start
from trainer.running.log import Log
from trainer.running.watch import Exit
from trainer.task import Task

ROOT = Path(__file__).resolve().parents[2]
PREPARE = (ROOT / "prepare.py").read_text()
MEMORY_MB = 2000.0
H100_MB = 81_559.0
H100_NEED_MB = 33_000.0  # a quarter of a MiB a token, of 64 rows of 2048


def task(profile: str = "cpu", folder: Path = ROOT, prepare: str = PREPARE) -> Task:
    """The task as open_task describes it; nothing here needs its data."""
    device = "cpu" if profile == "cpu" else "cuda"
    return Task(str(folder), prepare, "val_bpb", 300.0, 240.0, "", profile, device)


def checked(folder: Path, genome: str, profile: str = "cpu", memory_mb: float = MEMORY_MB) -> str | None:
    found = Preflight(task(profile), str(folder / "scratch"), memory_mb)(genome)
    assert not list((folder / "scratch").glob("*")), "something was left behind"
    return found


def verdicts(folder: Path, suite: dict[str, Edits]) -> dict[str, str | None]:
    """Of each genome, by the same steps as a preflight's but in forks of one process."""
    orders: list[tuple[str, object, float]] = []
    for name, edits in suite.items():
        scratch = folder / name
        scratch.mkdir()
        (scratch / "train.py").write_text(made(edits))
        (scratch / "prepare.py").write_text(PREPARE)
        command = Preflight(task(), "", MEMORY_MB).command(static.read(made(edits)))
        orders.append((str(scratch), json.loads(command[3]), MEMORY_MB))
    env = os.environ | {"LINEAGES_PROFILE": "cpu", "TORCH_COMPILE_DISABLE": "1", "PYTHONPATH": str(ROOT)}
    script = [sys.executable, str(Path(__file__).with_name("rehearsals.py"))]
    ran = subprocess.run(
        script, input=json.dumps(orders), env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(zip(suite, json.loads(ran.stdout), strict=True))


# --- the suites --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What is said of the genomes of both suites."""
    assert not GOOD.keys() & UNRUNNABLE.keys()
    return verdicts(tmp_path_factory.mktemp("suites"), GOOD | UNRUNNABLE)


@pytest.mark.slow
def test_no_genome_that_can_be_trained_is_refused(found: dict[str, str | None]) -> None:
    assert len(GOOD) >= 20
    assert {name: why for name in GOOD if (why := found[name])} == {}


@pytest.mark.slow
def test_genomes_that_must_fail_are_refused_with_a_reason(found: dict[str, str | None]) -> None:
    assert len(BROKEN) >= 30
    reasons = {name: found[name] or "" for name in UNRUNNABLE}
    assert [name for name, why in reasons.items() if "line" not in why and "(" not in why] == []


# --- the whole of it ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("rehearsing")
def test_a_reason_names_the_line_what_stands_there_and_the_error(tmp_path: Path) -> None:
    why = checked(tmp_path, made(UNRUNNABLE["a matrix of the wrong shape"]))
    assert why is not None
    line = made(UNRUNNABLE["a matrix of the wrong shape"]).splitlines()[
        int(why.split("line ")[1].split()[0]) - 1
    ]
    assert "F.linear(F.linear(x, self.up)" in line and "F.linear(F.linear(x, self.up)" in why
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in why
    assert "\n" not in why


@pytest.mark.usefixtures("rehearsing")
def test_the_first_genome_passes_at_full_size_and_not_on_a_third_of_what_it_needs(tmp_path: Path) -> None:
    assert checked(tmp_path, FIRST, "h100", H100_MB) is None
    why = checked(tmp_path, FIRST, "h100", H100_NEED_MB / 3)
    assert why is not None and "MB of memory" in why


@pytest.mark.usefixtures("rehearsing")
def test_the_first_genome_passes_on_the_profile_for_other_cards(tmp_path: Path) -> None:
    assert checked(tmp_path, FIRST, "gpu", 24_000.0) is None


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize(
    "wants_the_card",
    [
        "assert torch.cuda.is_available()",
        "F.linear(torch.zeros(2, 2, dtype=torch.bfloat16), torch.zeros(2, 2))",
    ],
)
def test_what_fails_for_want_of_the_card_is_left_to_it(tmp_path: Path, wants_the_card: str) -> None:
    genome = made({STACK: f"        {wants_the_card}\n{STACK}"}, FIRST)
    assert checked(tmp_path, genome, "gpu", 24_000.0) is None


@pytest.mark.usefixtures("rehearsing")
def test_a_wrong_shape_is_found_at_full_size(tmp_path: Path) -> None:
    genome = made({"torch.empty(prepare.VOCAB_SIZE, WIDTH)": "torch.empty(prepare.VOCAB_SIZE, 512)"}, FIRST)
    why = checked(tmp_path, genome, "gpu", 24_000.0)
    assert why is not None and "at line" in why


@pytest.mark.usefixtures("rehearsing")
def test_a_genome_that_computes_when_it_is_imported_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.preflight.LIMIT_S", 1.0)
    why = checked(tmp_path, made({MAIN: f"while True: torch.zeros(9).sum()\n{MAIN}"}))
    assert why == "importing train.py took more than 1 s without any data; leave work to main()"


NOISE = r"""
for fd in range(3, 20):
    try:
        os.write(fd, b'{"refused": 7}\n[[[\n\xff\n{"passed": {"rows": -1}}\n' * 99)
    except OSError:
        pass
"""


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize("noise", [NOISE, "os.kill(os.getpid(), 9)"])
def test_a_process_that_talks_nonsense_or_is_killed_says_nothing_against_its_genome(
    tmp_path: Path, noise: str
) -> None:
    assert checked(tmp_path, made({MAIN: f"{noise}\n{MAIN}"})) is None


@pytest.mark.usefixtures("rehearsing")
def test_a_genome_that_ends_the_process_when_it_is_imported_is_refused(tmp_path: Path) -> None:
    why = checked(tmp_path, made({MAIN: f"print('no data')\nos._exit(3)\n{MAIN}"}))
    assert why == "importing train.py ended the process: exit code 3: no data"


def test_a_genome_sees_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    why = checked(tmp_path, made({MAIN: f"sys.exit(f'seen: {{\"sk-secret\" in str(os.environ)}}')\n{MAIN}"}))
    assert why is not None and "seen: False" in why


def test_a_task_without_a_model_has_no_contract_and_no_rehearsal(tmp_path: Path) -> None:
    hill = ROOT / "benchmarks" / "tasks" / "hill"
    preflight = Preflight(task("", hill, (hill / "prepare.py").read_text()), str(tmp_path / "none"), 1.0)
    assert preflight((hill / "train.py").read_text()) is None
    assert preflight("x = missing") is not None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["x = '\ud800'", "x = '\0'", "(" * 10_000, "-" * 200_000 + "1", "def f(:"])
def test_text_that_is_no_module_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    why = checked(tmp_path, text)
    assert why is not None and why.startswith("train.py is not Python") and "\n" not in why


def test_it_can_be_sent_to_the_actor_that_calls_it(tmp_path: Path) -> None:
    preflight = Preflight(task(), str(tmp_path), MEMORY_MB)
    assert pickle.loads(pickle.dumps(preflight)) == preflight


# --- memory ------------------------------------------------------------------------------------------------

PASS = """
import pathlib, re, torch, train, prepare

def peak_kb():  # and not of getrusage, where a process begins with its parent's
    return int(re.search("VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

model = train.build_model()
optimiser = train.Optimiser(model)
tokens = torch.zeros(train.BATCH_SIZE, prepare.SEQUENCE_LEN, dtype=torch.int64)
before = peak_kb()
train.cross_entropy(model, tokens, tokens).backward()
optimiser.step(0.0, 0.0, 0.0)
print((peak_kb() - before) / 1024)
"""


@pytest.mark.usefixtures("rehearsing")
def test_the_estimate_is_right_within_the_factor_it_is_trusted_to(tmp_path: Path, forked: Start) -> None:
    genome = made({"BATCH_SIZE = 16": "BATCH_SIZE = 96"})
    (tmp_path / "train.py").write_text(genome)
    (tmp_path / "prepare.py").write_text(PREPARE)
    peak_mb = float(printed(forked, tmp_path, PASS, {"LINEAGES_PROFILE": "cpu"}))
    why = checked(tmp_path, genome, memory_mb=peak_mb / 3)
    found = re.search(r"needs about ([\d,]+) MB", why or "")
    assert found, "three times too little was not refused"
    assert peak_mb / TOO_MUCH < float(found[1].replace(",", "")) < peak_mb * TOO_MUCH


def test_a_model_with_nothing_saved_needs_its_weights_four_times() -> None:
    assert estimate_mb(Needs(100.0, 100.0, 0.0, 0.0, 1), "cpu") == 400.0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_only_clearly_too_much_is_too_much(device: str) -> None:
    needs = Needs(100.0, 100.0, 600.0, 50.0, 8)
    line = b'{"passed": {"model_mb": 100, "trained_mb": 100, "saved_mb": 600, "logits_mb": 50, "rows": 8}}'
    for share, refused in ((1.01, False), (0.99, True)):
        heard = Heard(device, share * estimate_mb(needs, device) / TOO_MUCH)
        heard.hear(line)
        assert bool(verdict(heard, Exit(0, False, 0.0, 0.0), Log())) == refused
        assert (heard.left_s() <= 0) == refused
