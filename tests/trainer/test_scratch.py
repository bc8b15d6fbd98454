"""What trials leave on a machine is removed when nobody has it any more, and not before."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import psutil  # type: ignore[import-untyped]
import pytest

from tests.waiting import until
from trainer.scratch import own_scratch

ROOT = Path(__file__).parents[2]
OWNER = """
import os, subprocess, sys
from pathlib import Path
from trainer.scratch import own_scratch
with own_scratch(Path(sys.argv[1])) as scratch:
    (scratch / "7.log").write_text("")
    home = os.environ | {"HOME": str(scratch)}
    below = subprocess.Popen(["sleep", "100"], env=home, start_new_session=True)
    print(scratch, below.pid, flush=True)
    input()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
        yield process
        process.kill()


def told(owner: "subprocess.Popen[str]") -> tuple[Path, psutil.Process]:
    """Where its scratch folder is, and a process that it started there."""
    assert owner.stdout is not None
    folder, pid = owner.stdout.readline().split()
    return Path(folder), psutil.Process(int(pid))


def test_what_a_killed_owner_left_is_removed_by_the_next_with_what_still_runs_there(
    owner: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    folder, below = told(owner)
    owner.kill()
    owner.wait()
    with own_scratch(tmp_path) as ours:
        assert [*tmp_path.iterdir()] == [ours] and not folder.exists()
        until(lambda: not below.is_running() or below.status() == psutil.STATUS_ZOMBIE)


def test_what_somebody_has_is_left_alone_however_many_come(
    owner: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    folder, below = told(owner)
    with ExitStack() as held:
        ours = [held.enter_context(own_scratch(tmp_path)) for _ in range(3)]
        assert {*tmp_path.iterdir()} == {folder, *ours} and (folder / "7.log").exists()
        assert below.is_running()
    assert [*tmp_path.iterdir()] == [folder]


def test_a_link_that_looks_like_a_scratch_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "lineages-scratch-x").symlink_to(tmp_path / "home")
    with own_scratch(tmp_path):
        assert (tmp_path / "home").exists()
