"""A confined process has its limits, its own environment, and its parent's lifetime."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.sandbox import confined, environment
from trainer.walls.confine import FILE_MB, OPEN_FILES


def run_confined(code: str, device: str = "cpu", **told: str) -> subprocess.CompletedProcess[str]:
    command = confined([sys.executable, "-c", code], device)
    env = environment("/tmp", device, told)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def limits(device: str) -> dict[str, int]:
    code = """
import json, resource
print(json.dumps({name: resource.getrlimit(getattr(resource, name))[1] for name in
    ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_DATA")}))
"""
    found: dict[str, int] = json.loads(run_confined(code, device).stdout)
    return found


def test_limits_cannot_be_raised_again() -> None:
    found = limits("cpu")
    assert found["RLIMIT_CORE"] == 0
    assert found["RLIMIT_FSIZE"] == FILE_MB * 2**20
    assert found["RLIMIT_NOFILE"] <= OPEN_FILES
    assert 0 < found["RLIMIT_DATA"] < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_memory_is_not_limited_by_address_space_on_cuda() -> None:
    assert limits("cuda")["RLIMIT_DATA"] == resource.getrlimit(resource.RLIMIT_DATA)[1]


def test_more_memory_than_there_is_is_an_error_of_the_candidate() -> None:
    ended = run_confined("import os; bytearray(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))")
    assert ended.returncode == 1
    assert "MemoryError" in ended.stderr


def test_the_candidate_is_the_first_to_go_when_memory_runs_out() -> None:
    assert run_confined("print(open('/proc/self/oom_score_adj').read())").stdout.strip() == "1000"


def test_an_idle_command_gives_way_to_all_other_sessions_and_processes() -> None:
    code = "import os; print(os.sched_getscheduler(0), *open('/proc/self/autogroup'))"
    command = confined([sys.executable, "-c", code], "cpu", idle=True)
    env = environment("/tmp", "cpu", {})
    told = subprocess.run(command, env=env, capture_output=True, text=True, start_new_session=True)
    assert told.stdout.split()[0] == str(os.SCHED_IDLE)
    assert told.stdout.split()[-1] == "19"


def test_no_privileges_can_be_gained() -> None:
    assert "NoNewPrivs:\t1" in run_confined("print(open('/proc/self/status').read())").stdout


def test_the_exit_code_is_the_commands_own() -> None:
    assert run_confined("raise SystemExit(7)").returncode == 7


def test_a_command_starts_only_under_the_parent_it_was_made_for() -> None:
    command = confined(["/bin/echo", "here"], "cpu")
    command[4] = "1000000"
    env = environment("/tmp", "cpu", {})
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "here" not in ended.stdout and "the harness is gone" in ended.stderr


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "LINEAGES_KEY", "X"])
def test_what_is_not_listed_is_not_inherited(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "secret")
    assert name not in environment("/tmp", "cpu", {})
    assert "secret" not in run_confined("import os; print(os.environ)").stdout


def test_home_and_caches_are_in_the_scratch_folder(tmp_path: Path) -> None:
    found = environment(str(tmp_path), "cpu", {})
    for name in ("HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert Path(found[name]).is_relative_to(tmp_path)


def test_a_cpu_run_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert environment("/tmp", "cpu", {})["CUDA_VISIBLE_DEVICES"] == ""
    assert environment("/tmp", "cuda", {})["CUDA_VISIBLE_DEVICES"] == "0"


def test_cards_are_numbered_as_the_driver_numbers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert environment("/tmp", "cuda", {})["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_a_cpu_run_computes_on_every_core_whoever_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1000")  # an actor of Ray's finds 1 there
    threads = run_confined("import torch; print(torch.get_num_threads())").stdout
    assert int(threads) == len(os.sched_getaffinity(0))


def test_what_it_is_told_wins_over_what_would_be_set() -> None:
    assert environment("/tmp", "cpu", {"OMP_NUM_THREADS": "3"})["OMP_NUM_THREADS"] == "3"
