"""What the doctor says of machines: made-up ones to judge the judgement, this one to find the facts."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.checks.proof import Gap, Proof
from trainer.checks.proof import judged as proven_by
from trainer.doctor import (
    card,
    clock,
    keys,
    load,
    repository,
    room,
    sight,
    smoke,
    stock,
    torch_probe,
    versions,
    walls,
)
from trainer.doctor.checkup import Asked, Check, busy
from trainer.doctor.child import Said, ask
from trainer.doctor.finding import Finding, exit_code
from trainer.errors import BadInput
from trainer.hardware import detect
from trainer.outcome import Completed, Crashed, Report, Usage

ROOT = Path(__file__).resolve().parents[2]
H100 = card.Card("GPU-1a", "NVIDIA H100 80GB HBM3", 81_559, 4)
DRIVER = card.Graphics("570.86", "12.8", (H100,))
ABLE = sight.Torch("2.13.0", "13.0", True, capability=(9, 0), architectures=("sm_80", "sm_90"), flash="")
CPU_TORCH = sight.Torch("2.13.0", "13.0", False, problem="it sees no device")
QUIET = load.Load(cores=8, busy=0.1, average=0.2, machine=8)
FIT = repository.Repository((2, 43, 0), folder="/r", committed=True, identity="Ada")
ATTEMPTS = ("read", "write", "environ", "tcp", "unix", "signal", "udp", "modes")


def holding(device: str) -> contextlib.AbstractContextManager[None]:
    raise BadInput(f"another scheduler (pid 7) is using {device}; wait until it is done")


@contextlib.contextmanager
def free(device: str) -> Iterator[None]:
    yield


# --- the card


def test_an_idle_card_with_a_driver_is_ready() -> None:
    finding = card.judged(DRIVER)
    assert finding.status == "ok"
    assert "H100" in finding.found
    assert "81,559 MiB" in finding.found
    assert "570.86" in finding.found


def test_a_machine_without_a_gpu_is_told_what_that_means() -> None:
    finding = card.judged(card.Graphics(problem="NVML Shared Library Not Found"))
    assert finding.status == "ok"
    assert "profile cpu, 10 s" in finding.found


def test_a_card_without_a_driver_is_not_taken_for_no_card() -> None:
    finding = card.judged(card.Graphics(problem="Driver Not Loaded", vendors=(card.NVIDIA,)))
    assert finding.status == "warning"
    assert "Driver Not Loaded" in finding.found
    assert "install" in finding.remedy


@pytest.mark.parametrize("visible", ["", "-1", "3", "GPU-other"])
def test_a_hidden_card_is_named_as_hidden(visible: str) -> None:
    finding = card.judged(card.Graphics("570", "12.8", (H100,), visible=visible))
    assert (finding.status, finding.remedy) == ("warning", "unset CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(("visible", "name"), [(None, "a"), ("1", "b"), ("1,0", "b"), ("GPU-b", "b")])
def test_the_first_visible_card_is_the_one_that_counts(visible: str | None, name: str) -> None:
    cards = card.Card("GPU-aa", "a", 24_000, 0), card.Card("GPU-bb", "b", 24_000, 0)
    chosen = card.chosen(card.Graphics("570", "12.8", cards, visible=visible))
    assert chosen is not None
    assert chosen.name == name


def test_other_programs_on_the_card_are_named() -> None:
    taken = card.Card("GPU-1", "L4", 23_034, 9_000, holders=(card.Holder(77, "python"),))
    finding = card.judged(card.Graphics("570", "12.8", (taken,)))
    assert finding.status == "warning"
    assert "python (77)" in finding.found


def test_memory_that_nobody_visible_holds_is_noticed_too() -> None:
    finding = card.judged(card.Graphics("570", "12.8", (card.Card("GPU-1", "L4", 23_034, 9_000),)))
    assert finding.status == "warning"
    assert "9,000 MiB" in finding.found


def test_a_card_for_one_process_only_cannot_be_examined_on() -> None:
    alone = card.Card("GPU-1", "L4", 23_034, 0, mode=card.SHARED + 3)
    assert card.judged(card.Graphics("570", "12.8", (alone,))).status == "missing"


def test_looking_for_a_card_agrees_with_the_device_that_trials_would_get() -> None:
    assert (card.chosen(card.look()) is not None) == (detect().device == "cuda")


# --- torch and attention


def test_torch_without_a_card_is_fine_where_there_is_none_and_missing_where_there_is_one() -> None:
    assert sight.seen(sight.Sight(CPU_TORCH), card=False).status == "ok"
    blind = sight.seen(sight.Sight(CPU_TORCH), card=True)
    assert blind.status == "missing"
    assert "--device cpu" in blind.remedy


@pytest.mark.parametrize(
    ("torch", "status"),
    [
        (ABLE, "ok"),
        (sight.Torch("2.13.0+cpu", "", False), "missing"),
        (
            sight.Torch("2.13.0", "13.0", True, capability=(12, 0), architectures=("sm_80", "sm_90")),
            "missing",
        ),
        (sight.Torch("2.13.0", "13.0", True, problem="out of memory", capability=(9, 0)), "missing"),
        (sight.Torch("2.13.0", "13.0", True, capability=(7, 5), architectures=("sm_75",)), "warning"),
        (None, "missing"),
    ],
)
def test_torch_is_ready_if_it_can_compute_on_the_card(torch: sight.Torch | None, status: str) -> None:
    finding = sight.seen(sight.Sight(torch, problem="No module named 'torch'"), card=True)
    assert finding.status == status
    assert bool(finding.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 9), ("sm_80", "sm_86"), True),
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_80", "sm_86"), False),
        ((9, 0), ("compute_80",), True),
        ((9, 0), ("sm_90a",), True),
        ((10, 3), ("sm_100a",), False),
        ((10, 3), ("sm_100f",), True),
        ((12, 0), ("sm_100", "sm_120"), True),
        ((12, 0), (), True),
    ],
)
def test_machine_code_serves_its_own_major_version(
    capability: tuple[int, int], architectures: tuple[str, ...], runs: bool
) -> None:
    assert sight.runs_on(capability, architectures) == runs


@given(st.integers(3, 15), st.integers(0, 9))
def test_code_made_for_a_card_runs_on_it(major: int, minor: int) -> None:
    assert all(
        sight.runs_on((major, minor), (f"{kind}_{major}{minor}",)) for kind in ("sm", "compute")
    ) and sight.runs_on((major, minor), (f"sm_{major}{minor}a",))


def test_the_attention_that_is_told_is_the_one_that_is_used() -> None:
    ampere = sight.Torch("2.13.0", "13.0", True, capability=(8, 6))
    broken = sight.Torch("2.13.0", "13.0", True, capability=(9, 0), flash="ImportError: no symbol")
    told = [
        sight.attention(sight.Sight(torch), fetched)
        for torch, fetched in ((CPU_TORCH, True), (ampere, True), (ABLE, True), (ABLE, False), (broken, True))
    ]
    assert [finding.found.split(",")[0].split(";")[0] for finding in told] == [
        "scaled_dot_product_attention", "FlexAttention", "FlashAttention-3", "FlexAttention", "FlexAttention",
    ]  # fmt: skip
    assert [finding.status for finding in told] == ["ok", "ok", "ok", "warning", "warning"]


def test_a_prepare_that_cannot_be_imported_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "prepare.py").write_text("raise SystemExit('LINEAGES_PROFILE is odd')")
    finding = stock.data(tmp_path, torch_probe.see_stock(tmp_path), "cpu")
    assert (finding.status, "LINEAGES_PROFILE is odd" in finding.found) == ("missing", True)


# --- data


def test_prepared_data_is_fine_and_data_made_here_is_no_worry() -> None:
    ready = stock.Stock("h100", "cuda", 300, ready=True, shards=10)
    assert stock.judged(ready, "cuda", 1_234, 9_000) == Finding(
        "data", "ok", "profile h100, 300 s a trial: prepared, 1,234 MB"
    )
    assert stock.judged(stock.Stock("cpu", "cpu", 10), "cpu", 0, 9_000).status == "ok"


def test_a_download_is_announced_and_needs_room() -> None:
    unready = stock.Stock("h100", "cuda", 300, shards=10, cached=3)
    assert unready.download_mb == 8 * stock.SHARD_MB
    assert stock.judged(unready, "cuda", 0, 90_000).status == "warning"
    assert stock.judged(unready, "cuda", 0, 1_000).status == "missing"


def test_a_profile_for_another_device_is_refused_with_the_way_out() -> None:
    finding = stock.judged(stock.Stock("gpu", "cpu", 300, ready=True), "cuda", 9, 9_000)
    assert finding.status == "missing"
    assert "--device cpu" in finding.remedy


# --- the sandbox


def test_a_sandbox_without_gaps_is_one_line() -> None:
    (finding,) = walls.walls(proven_by(dict.fromkeys(ATTEMPTS, True)), "linux")
    assert (finding.status, finding.remedy) == ("ok", "")
    assert "8 of 8" in finding.found


def test_an_old_kernel_is_a_warning_for_each_thing_it_does_not_deny() -> None:
    old = dict.fromkeys(ATTEMPTS, True) | {"signal": False, "udp": False}
    held, *gaps = walls.walls(proven_by(old), "linux")
    assert (held.status, "6 of 8" in held.found) == ("ok", True)
    assert [(gap.status, bool(gap.remedy)) for gap in gaps] == [("warning", True)] * 2


def test_a_sandbox_that_does_not_hold_never_says_that_it_does() -> None:
    findings = walls.walls(proven_by(dict.fromkeys(ATTEMPTS, True) | {"read": False}), "linux")
    assert [finding.status for finding in findings] == ["warning"]
    assert "models or agents is refused" in findings[0].found


@pytest.mark.parametrize(("platform", "status"), [("linux", "missing"), ("darwin", "warning")])
def test_where_nothing_confined_starts_no_trial_does_on_linux(platform: str, status: str) -> None:
    (finding,) = walls.walls(Proof((), (Gap("anything", "it cannot start", vital=True),)), platform)
    assert finding.status == status


@pytest.mark.parametrize(
    ("said", "status", "remedy"),
    [
        (Said("began\n8.0\n"), "ok", ""),
        (Said("began\n", "no C compiler"), "missing", "C compiler"),
        (Said("", "cuInit 304"), "missing", "--sandbox off"),
    ],
)
def test_cuda_has_to_start_and_to_compile_inside(said: Said, status: str, remedy: str) -> None:
    finding = walls.cuda_inside(said)
    assert finding.status == status
    assert remedy in finding.remedy


def test_a_model_that_cannot_answer_from_the_card_is_missing() -> None:
    assert walls.buffer(Said("")).status == "ok"
    finding = walls.buffer(Said("", "RuntimeError: CUDA error: operation not supported"))
    assert (finding.status, "--device cpu" in finding.remedy) == ("missing", True)


def test_a_confined_model_answers_as_it_would_on_a_card() -> None:
    assert walls.examined("cpu") == Said("")


# --- room, cores, clock


@pytest.mark.parametrize(
    ("free_mb", "status"), [(90_000, "ok"), (1_000, "warning"), (300, "missing"), (0, "missing")]
)
def test_a_disk_is_judged_by_what_is_left(free_mb: float, status: str) -> None:
    assert room.room("disk", Path("/runs"), free_mb, True, "cpu").status == status


def test_a_folder_that_may_not_be_written_is_missing_however_empty_the_disk() -> None:
    assert room.room("disk", Path("/runs"), 90_000, False, "cpu").status == "missing"


def test_room_for_a_folder_that_is_not_made_yet_is_that_of_its_nearest_parent(tmp_path: Path) -> None:
    assert f"in {tmp_path}" in room.disk("disk", tmp_path / "results" / "runs", "cpu").found


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6) | st.none())
def test_more_memory_never_makes_a_machine_less_ready(total: int, more: int, limit: int | None) -> None:
    ranks = ["missing", "warning", "ok"]
    less, enough = (
        room.memory_judged(room.Memory(10**7, available, limit), "cpu")[0].status
        for available in (total, total + more)
    )
    assert ranks.index(less) <= ranks.index(enough)


def test_a_container_counts_with_its_own_limit() -> None:
    (finding,) = room.memory_judged(room.Memory(64_000, 60_000, limit=1_000), "cpu")
    assert finding.status == "missing"


def test_little_shared_memory_is_a_line_of_its_own() -> None:
    _, small = room.memory_judged(room.Memory(64_000, 60_000, shared=64), "cpu")
    assert (small.status, "--shm-size" in small.remedy) == ("warning", True)


def test_other_programs_on_the_cores_spoil_scores_on_a_cpu_sooner_than_on_a_gpu() -> None:
    busy = load.Load(cores=8, busy=4.0, average=4.0, machine=8)
    assert load.judged(QUIET, "cpu").status == "ok"
    assert load.judged(busy, "cpu").status == "warning"
    assert load.judged(busy, "cuda").status == "ok"


def test_a_share_of_time_instead_of_cores_is_noticed() -> None:
    limited = load.Load(cores=8, busy=0.0, average=0.0, machine=8, quota=2.0)
    assert load.judged(limited, "cuda").status == "warning"


@pytest.mark.parametrize(
    ("wall_s", "now", "status"),
    [(0.5, 1.8e9, "ok"), (2.5, 1.8e9, "warning"), (-4.0, 1.8e9, "warning"), (0.5, 0.0, "warning")],
)
def test_a_clock_that_jumps_or_was_never_set_is_noticed(wall_s: float, now: float, status: str) -> None:
    assert clock.judged(clock.Moment(wall_s, 0.5, now, "UTC +0000")).status == status


# --- keys


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=12))
def test_the_value_of_a_key_is_never_shown(value: str) -> None:
    secret = f"qz{value}zq"
    finding = keys.judged({"SOME_API_KEY": secret, "OPENAI_BASE_URL": f"http://u:{secret}@host:1"})
    assert secret not in finding.found + finding.remedy
    assert "SOME_API_KEY" in finding.found


def test_keys_and_addresses_are_listed_by_name_and_host() -> None:
    there = {"ANTHROPIC_API_KEY": "sk-1", "OLLAMA_API_BASE": "http://me:pw@localhost:11434/v1", "HOME": "/"}
    finding = keys.judged(there)
    assert finding.status == "ok"
    assert "ANTHROPIC_API_KEY, OLLAMA_API_BASE=http://localhost:11434 " in finding.found


@pytest.mark.parametrize(
    "environment",
    [
        {"A_API_KEY": ""},
        {"A_API_KEY": "sk-1\n"},
        {"OPENAI_BASE_URL": "localhost:1"},
        {"OPENAI_BASE_URL": "http://["},
    ],
)
def test_a_key_or_address_that_cannot_work_is_a_warning(environment: dict[str, str]) -> None:
    assert keys.judged(environment).status == "warning"


def test_no_key_is_no_fault() -> None:
    assert keys.judged({"PATH": "/bin"}).status == "ok"


# --- git


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (FIT, "ok"),
        (repository.Repository(None), "missing"),
        (repository.Repository((2, 43), problem="detected dubious ownership"), "missing"),
        (repository.Repository((2, 43)), "warning"),
        (repository.Repository((2, 43), folder="/r"), "missing"),
        (repository.Repository((2, 43), folder="/r", committed=True, blocked=True), "missing"),
        (repository.Repository((2, 37, 9), folder="/r", committed=True, identity="Ada"), "warning"),
        (repository.Repository((2, 43), folder="/r", committed=True), "warning"),
    ],
)
def test_git_is_judged_by_what_a_run_and_promote_need(found: repository.Repository, status: str) -> None:
    (finding,) = repository.judged(found)
    assert (finding.status, bool(finding.remedy)) == (status, status != "ok")


def run_git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an uncommitted genome, of a user of whom git knows nothing else."""
    for name in [name for name in os.environ if name.startswith("GIT_")] + ["EMAIL"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    run_git(tmp_path, "init", "--quiet")
    (tmp_path / "train.py").write_text("X = 1\n")
    return tmp_path


def test_a_genome_is_found_committed_once_it_is_and_its_author_known_once_named(clone: Path) -> None:
    assert not repository.look(clone).committed
    assert repository.look(clone).identity == ""
    run_git(clone, "config", "user.name", "Ada")
    run_git(clone, "config", "user.email", "ada@example.org")
    run_git(clone, "add", "train.py")
    run_git(clone, "commit", "--quiet", "-m", "Begin")
    found = repository.look(clone)
    assert (found.committed, found.identity, found.folder) == (True, "Ada", str(clone.resolve()))
    assert found.version is not None


def test_an_old_lock_is_told_and_a_fresh_one_is_not(clone: Path) -> None:
    old, fresh = clone / ".git" / "index.lock", clone / ".git" / "refs" / "heads" / "main.lock"
    for path in (old, fresh):
        path.touch()
    os.utime(old, (time.time() - 7_200,) * 2)
    _, *locks = repository.git(clone)
    assert len(locks) == 1
    assert "index.lock is 120 minutes old" in locks[0].found


def test_a_folder_in_no_repository_and_one_that_git_cannot_read_are_told_apart(tmp_path: Path) -> None:
    assert repository.look(tmp_path).problem == ""
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    assert "nowhere" in repository.look(tmp_path).problem


# --- versions


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (versions.Versions((3, 12, 1), {"ray": "2.60", "litellm": "1.106.2"}, "uv 0.13.9"), "ok"),
        (versions.Versions((3, 12, 1), {"ray": "2.60", "litellm": "1.106.2"}), "warning"),
        (versions.Versions((3, 12, 1), {"ray": None, "litellm": "1.106.2"}, "uv 0.13.9"), "missing"),
        (versions.Versions((3, 12, 1), {"ray": "2.60", "litellm": "1.82.7"}, "uv 0.13.9"), "missing"),
        (versions.Versions((3, 10, 9), {}, "uv 0.13.9"), "missing"),
        (versions.Versions((3, 14, 0), {}, "uv 0.13.9"), "missing"),
    ],
)
def test_versions_are_judged(found: versions.Versions, status: str) -> None:
    assert versions.judged(found).status == status


def test_the_python_that_is_asked_for_is_the_projects_own() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert asked == ">={}.{},<{}.{}".format(*versions.PYTHON[0], *versions.PYTHON[1])


def test_every_package_the_project_names_is_looked_for_and_found_here() -> None:
    found = versions.look(ROOT).packages
    assert {"torch", "ray", "litellm"} <= found.keys()
    assert None not in found.values()


# --- asking


def test_a_child_that_hangs_is_ended_and_what_it_said_is_kept() -> None:
    said = ask(["sh", "-c", "echo hello; exec sleep 600"], 1.0)
    assert said == Said("hello\n", "no answer within 1 s")


def test_a_child_that_is_not_there_or_fails_says_why() -> None:
    assert "no-such-program" in ask(["no-such-program"], 5.0).problem
    assert (
        ask([sys.executable, "-c", "raise ValueError('not today')"], 30.0).problem == "ValueError: not today"
    )
    assert (
        ask(["sh", "-c", "echo 'fatal: here\nand how to mend it' >&2; exit 1"], 30.0).problem == "fatal: here"
    )


def test_a_check_that_hangs_is_left_behind() -> None:
    let_go = threading.Event()
    asked = Asked(Check("slow", lambda: [Finding("slow", "ok", str(let_go.wait()))], 0.05))
    (finding,) = asked.answer()
    let_go.set()
    assert (finding.name, finding.status) == ("slow", "warning")
    assert "no answer" in finding.found


def test_a_disk_that_cannot_be_asked_is_a_finding() -> None:
    def fail() -> list[Finding]:
        raise OSError("Stale file handle")

    (finding,) = Asked(Check("disk", fail)).answer()
    assert (finding.status, "Stale file handle" in finding.found) == ("warning", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_in_a_check_is_printed_and_does_not_stop_the_others() -> None:
    (finding,) = Asked(Check("odd", lambda: [Finding("odd", "ok", str(1 // 0))])).answer()
    assert (finding.name, finding.status) == ("odd", "warning")


def test_a_device_that_is_held_is_told_with_its_holder() -> None:
    assert busy("cpu", free).status == "ok"
    finding = busy("cpu", holding)
    assert (finding.status, "pid 7" in finding.found) == ("warning", True)
    assert finding.remedy == "wait until it is done"


def test_a_checkup_of_this_machine_asks_everything_and_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import contextlib, pathlib, sys; from trainer.doctor import checkup;"
        f"found = checkup.checkup(pathlib.Path({str(ROOT)!r}), pathlib.Path({str(tmp_path)!r}),"
        " lambda device: contextlib.nullcontext());"
        "print(*dict.fromkeys(each.name for each in found), 'torch' in sys.modules)"
    )
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=hidden, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (
        "GPU cores torch attention data sandbox device memory disk temporary git keys clock versions False\n",
        "",
    )  # fmt: skip


def test_only_what_is_missing_makes_the_exit_code_1() -> None:
    fine, unsure, gone = (Finding("x", status, "") for status in ("ok", "warning", "missing"))
    assert exit_code([fine, unsure]) == 0
    assert exit_code([fine, gone, unsure]) == 1


# --- the trial


def test_a_trial_that_completed_tells_its_score_and_what_it_cost() -> None:
    usage = Usage(0.0, startup_s=5.4, training_s=20.1, exam_s=4.2, peak_memory_mb=798, steps=142)
    finding = smoke.judged(Report(Completed(2.1859, {}), usage), "val_bpb")
    assert finding.status == "ok"
    for part in ("2.1859", "142 steps", "5.4 s", "20.1 s", "4.2 s", "798 MiB"):
        assert part in finding.found


def test_a_trial_that_failed_is_missing_with_its_reason() -> None:
    finding = smoke.judged(Report(Crashed("CUDA error: no kernel image"), Usage(0.0)), "val_bpb")
    assert finding.status == "missing"
    assert re.match("crashed: CUDA error: no kernel image", finding.found)


def test_a_trial_is_refused_politely_while_another_scheduler_has_the_device() -> None:
    finding = smoke.smoke(ROOT, holding, lambda text, _: text)
    assert (finding.status, finding.remedy) == ("missing", "wait until it is done")
    assert "pid 7" in finding.found


def test_a_trial_is_given_and_examined_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[str] = []
    finding = smoke.smoke(
        ROOT / "benchmarks" / "tasks" / "hill",
        free,
        lambda text, _: text,
        lambda now: seen.append(now.phase),
        5.0,
    )
    assert finding.status != "missing"
    assert finding.found.startswith("loss ")
    assert "exam" in seen
    assert list(tmp_path.iterdir()) == []
