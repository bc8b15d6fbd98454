"""A confined process reaches its scratch folder, what any program needs, and nothing else, even as root."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.checks.proof import LESSER, VITAL, judged, proof
from trainer.outcome import Completed, Crashed
from trainer.sandbox import confined, environment
from trainer.task import open_task
from trainer.trial import Order, run_trial

ROOT = Path(__file__).parents[3]


class Cell:
    """A scratch folder, with things around it that should be out of reach."""

    def __init__(self, folder: Path) -> None:
        self.scratch, self.secret, self.data = folder / "scratch", folder / "secret", folder / "data"
        self.scratch.mkdir()
        self.data.mkdir()
        self.secret.write_text("sk-secret")
        (self.data / "rows").write_text("rows")

    def run(self, code: str, *, device: str = "cpu", **options: Any) -> str:
        """What confined code prints, or the error it ends with."""
        command = confined([sys.executable, "-c", textwrap.dedent(code)], device, **options)
        env = environment(str(self.scratch), device, {})
        ended = subprocess.run(
            command, cwd=self.scratch, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        return ended.stdout.strip() or ended.stderr.strip().rpartition("\n")[2]


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The number of a process that has a key in its environment, as our own may."""
    env = {"OPENAI_API_KEY": "sk-secret", "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "sk-secret"], env=env, stdin=subprocess.PIPE
    ) as ours:
        yield ours.pid
        ours.kill()


def test_what_is_given_is_read_and_what_is_not_is_not(cell: Cell) -> None:
    assert cell.run(f"print(open('{cell.data}/rows').read())", reads=[cell.data]) == "rows"
    assert "PermissionError" in cell.run(f"print(open('{cell.data}/rows').read())")
    assert "PermissionError" in cell.run(f"print(open('{cell.secret}').read())", reads=[cell.data])


@pytest.mark.parametrize(
    "path",
    ["{root}/pyproject.toml", "{root}/.git/HEAD", "{root}/trainer/exam.py", "/etc/shadow", "/etc/hostname"],
)
def test_the_repository_and_the_system_settings_are_out_of_reach(cell: Cell, path: str) -> None:
    assert "PermissionError" in cell.run(f"print(open('{path.format(root=ROOT)}').read())")


@pytest.mark.parametrize(
    "folder", ["{root}", "{root}/heldout", "/", "/root", "/home", "/tmp", "/proc", "/dev/shm/.."]
)
def test_folders_around_it_cannot_be_listed(cell: Cell, folder: str) -> None:
    assert "Error" in cell.run(f"import os; print(os.listdir('{folder.format(root=ROOT)}'))")


@pytest.mark.parametrize(
    "harm",
    [
        "open('{outside}', 'w')",
        "open('{secret}', 'a')",
        "os.remove('{secret}')",
        "os.truncate('{secret}', 0)",
        "os.rename('{secret}', 'mine')",
        "os.link('{secret}', 'mine')",
        "os.symlink('{secret}', 'mine'); open('mine').read()",
        "os.symlink('{outside}', 'mine'); open('mine', 'w')",
        "open('mine', 'w'); os.rename('mine', '{outside}')",
        "os.mkdir('{outside}')",
        "os.mknod('sda', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
        "os.remove(torch_file)",
        "os.link(torch_file, 'mine')",
        "open('/dev/shm/../tty')",
        "os.setxattr('{secret}', 'user.x', b'1')",
        "os.kill({pid}, 0)",
        "open('/proc/{pid}/environ').read()",
        "open('/proc/{pid}/mem', 'rb').read()",
        "open('/proc/{pid}/cmdline').read()",
        "os.listdir('/proc/{pid}/fd')",
        "resource.prlimit({pid}, resource.RLIMIT_NOFILE, (0, 0))",
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "os.setuid(1)",
        "os.chroot('.')",
        "open('/proc/self/oom_score_adj', 'w').write('0')",
    ],
)
def test_it_can_harm_nothing_outside(cell: Cell, key: int, harm: str) -> None:
    outside = cell.scratch.parent / "outside"
    code = "import os, resource, site, socket, stat, sys\n"
    code += "torch_file = site.getsitepackages()[0] + '/torch/version.py'\n"
    said = cell.run(code + harm.format(outside=outside, secret=cell.secret, pid=key) + "\nprint('done')")
    assert "PermissionError" in said or "Invalid cross-device link" in said
    assert cell.secret.read_text() == "sk-secret" and not outside.exists()


@pytest.mark.parametrize(
    "act", ["os.chmod('{0}', 0o777)", "os.utime('{0}', (1, 1))", "os.chown('{0}', 5, 5)"]
)
def test_modes_owners_and_times_of_files_stay_what_they_are(cell: Cell, act: str) -> None:
    before = cell.secret.stat()
    assert cell.run(f"import os; {act.format(cell.secret)}; print('done')") == "done"
    assert cell.secret.stat() == before


def test_no_key_is_found_in_any_process_however_it_looks(cell: Cell, key: int) -> None:
    look = f"""
        import os, pathlib
        found = [str(os.environ)]
        for number in [{key}, os.getppid(), os.getpid(), *range(1, 50000)]:
            for name in ("environ", "cmdline", "mem", "maps", "cwd/secret"):
                try: found.append(open(f"/proc/{{number}}/{{name}}", "rb").read(10**7).decode("latin"))
                except (OSError, ValueError): pass
        print(len(found), any("sk-" + "secret" in text for text in found))
    """
    count, leaked = cell.run(look).split()
    assert int(count) > 1 and leaked == "False"


def test_it_does_in_its_own_folder_as_it_likes(cell: Cell) -> None:
    assert (
        cell.run("""
        import os, pathlib, shutil, tempfile
        pathlib.Path("a/b").mkdir(parents=True)
        pathlib.Path("a/b/c").write_text("x")
        os.rename("a/b/c", "d"); os.link("d", "e"); os.symlink("d", "f"); os.mkfifo("g")
        os.truncate("d", 0); shutil.copy("d", "h"); shutil.copytree("a", "i"); shutil.rmtree("a")
        print(tempfile.mkdtemp().startswith(os.getcwd()))
    """)
        == "True"
    )


def test_it_has_privileges_no_more(cell: Cell) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in cell.run("print(open('/proc/self/status').read())").splitlines()
        if "\t" in line
    )
    assert int(status["CapEff"], 16) in (0, 1 << 2)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_processes_and_threads_work_inside(cell: Cell) -> None:
    assert (
        cell.run("""
        import multiprocessing, socket, subprocess, threading
        a, b = socket.socketpair()
        threading.Thread(target=a.send, args=(b"x",)).start()
        assert b.recv(1) == b"x"
        child = subprocess.Popen(["/bin/sleep", "60"])
        child.kill()
        print(child.wait(), subprocess.run(["echo", "hi"], capture_output=True).stdout)
    """)
        == "-9 b'hi\\n'"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="without privileges it depends on the system")
def test_shared_memory_is_its_own_and_ends_with_it(cell: Cell) -> None:
    leave = """
        import multiprocessing as mp, os
        from multiprocessing.shared_memory import SharedMemory
        print(os.listdir("/dev/shm"))
        with mp.get_context("fork").Pool(1) as pool: print(pool.map(abs, [-1]))
        open("/dev/shm/left", "w").write("for the next")
    """
    assert cell.run(leave) == "[]\n[1]" == cell.run(leave)
    assert not Path("/dev/shm/left").exists()


def test_without_a_scratch_folder_nothing_starts() -> None:
    command = confined([sys.executable, "-c", "print('here')"], "cpu")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "scratch folder" in ended.stderr and not ended.stdout


def test_rules_that_cannot_be_kept_start_nothing(cell: Cell) -> None:
    command = confined([sys.executable, "-c", "print('here')"], "cpu")
    settings = json.loads(command[5]) | {"packages": str(cell.data)}  # no landlockpy there
    command = [*command[:5], json.dumps(settings), *command[6:]]
    env = environment(str(cell.scratch), "cpu", {})
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "landlockpy" in ended.stderr and not ended.stdout


def test_a_path_that_is_missing_disables_no_other_rule(cell: Cell) -> None:
    assert "PermissionError" in cell.run(
        f"print(open('{cell.secret}').read())", reads=["/nowhere", cell.data]
    )


def test_the_sandbox_is_off_when_that_is_said(cell: Cell) -> None:
    assert cell.run(f"print(open('{cell.secret}').read())", sandbox="off") == "sk-secret"


def test_the_rules_of_a_gpu_hold_back_the_rest_as_well(cell: Cell) -> None:
    assert "PermissionError" in cell.run(f"print(open('{cell.secret}').read())", device="cuda")
    assert "PermissionError" in cell.run("import socket; socket.socket(socket.AF_INET)", device="cuda")
    connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/docker.sock')"
    assert "PermissionError" in cell.run(connect, device="cuda")
    name = "open('/proc/self/task/' + str(__import__('threading').get_native_id()) + '/comm', 'w').write('x')"
    assert cell.run(f"print({name})", device="cuda") == "1"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_starts_inside(cell: Cell) -> None:
    assert (
        cell.run(
            "import torch; torch.cuda.init(); print(torch.ones(2, device='cuda').sum().item())", device="cuda"
        )
        == "2.0"
    )


def test_it_is_proven_here() -> None:
    found = proof()
    assert found.holds and not found.gaps, found.lines()
    assert set(found.denied) == VITAL.keys() | LESSER.keys()


def test_what_is_not_denied_is_told_with_what_it_means() -> None:
    found = judged({"read": True, "write": True, "environ": False, "unix": True, "tcp": True, "modes": True})
    assert not found.holds
    assert [gap.attempt for gap in found.gaps if gap.vital] == ["environ"]
    assert any("keys" in line for line in found.lines())
    assert judged(dict.fromkeys(VITAL, True)).holds


def test_a_sandbox_that_does_not_hold_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "trainer.checks.proof.confined", lambda command, device: confined(command, device, sandbox="off")
    )
    assert {gap.attempt for gap in proof().gaps} >= {"read", "write", "tcp", "unix", "udp", "modes", "signal"}


PREPARE = """
METRIC, BUDGET_S = "loss", 30
def examine(submission, serve): return {"loss": float((submission / "loss").read_text())}
"""
SPY = """
import os, pathlib
task = pathlib.Path(os.environ["LINEAGES_TASK"])
def peek(path):
    try: return path.read_text()
    except OSError as error: return type(error).__name__
found = [peek(task / name) for name in ("data/rows", "heldout/rows", "prepare.py", "../log")]
(pathlib.Path(os.environ["LINEAGES_SUBMISSION"]) / "loss").write_text("1")
print(found)
"""


def task_with_data(folder: Path) -> Path:
    for name in ("data", "heldout"):
        (folder / name).mkdir(parents=True)
        (folder / name / "rows").write_text(name)
    for name, text in (("prepare.py", PREPARE), ("train.py", ""), ("program.md", "")):
        (folder / name).write_text(text)
    return folder


def order_for(folder: Path, genome: str, **options: Any) -> Order:
    task = open_task(task_with_data(folder / "task"), "cpu")
    return Order(1, genome, 7, task, str(folder / "log"), str(folder / "scratch"), **options)


def test_a_training_reads_its_data_and_nothing_else_of_its_task(tmp_path: Path) -> None:
    order = order_for(tmp_path, SPY)
    assert isinstance(run_trial(order, lambda progress: None).outcome, Completed)
    denied = "PermissionError"
    assert str(["data", denied, denied, denied]) in (tmp_path / "log").read_text()


def test_a_training_reads_everything_where_the_sandbox_is_off(tmp_path: Path) -> None:
    run_trial(order_for(tmp_path, SPY, sandbox="off"), lambda progress: None)
    assert "['data', 'heldout'" in (tmp_path / "log").read_text()


def test_a_trial_cannot_touch_another(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "2").mkdir(parents=True)
    outcome = run_trial(order_for(tmp_path, "open('../2/train.py', 'w')"), lambda progress: None).outcome
    assert isinstance(outcome, Crashed) and "PermissionError" in outcome.reason


@pytest.mark.parametrize(
    ("limit", "genome", "reason"),
    [
        ("running.disk.MOST_MB", "open('big', 'wb').write(bytes(3 * 2**20))", "takes more than 1 MB"),
        ("running.disk.MOST_ENTRIES", "[open(str(n), 'w') for n in range(20)]", "more than 1 files"),
        ("running.watch.MOST_PROCESSES", "import os; os.fork()", "more than 1 processes"),
    ],
)
def test_a_trial_that_takes_too_much_crashes_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, genome: str, reason: str
) -> None:
    order = order_for(tmp_path, genome + "\nimport time; time.sleep(60)")
    monkeypatch.setattr(f"trainer.{limit}", 1)
    outcome = run_trial(order, lambda progress: None).outcome
    assert isinstance(outcome, Crashed) and reason in outcome.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_trial_that_fills_the_disk_crashes_while_there_is_some_left(tmp_path: Path) -> None:
    order = order_for(tmp_path, "open('big', 'wb').write(bytes(3 * 2**20)); import time; time.sleep(60)")
    (tmp_path / "scratch").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path / "scratch")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be made here")
    try:
        outcome = run_trial(order, lambda progress: None).outcome
    finally:
        subprocess.run(["umount", str(tmp_path / "scratch")], check=True)
    assert isinstance(outcome, Crashed) and "nearly full" in outcome.reason


def test_a_listener_outside_hears_nothing(cell: Cell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        cell.run(f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))")
        with pytest.raises(TimeoutError):
            server.accept()
