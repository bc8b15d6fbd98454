"""The attention kernel is put beside the data whole or not at all, and never stops a preparation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.preparing import kernel

ROOT = Path(kernel.__file__).resolve().parents[2]
COPY = "import pathlib; from trainer.preparing import kernel; print(kernel.copy_build(pathlib.Path('data')))"


def copied(folder: Path, package: str) -> str:
    """What copying says, in `folder`, where `package` stands in for the one that is for GPU machines only."""
    (folder / "data").mkdir()
    (folder / "kernels.py").write_text(package)
    env = os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", COPY], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_build_for_this_machine_is_copied_beside_the_data(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "metadata.json").write_text("{}")
    said = copied(tmp_path, "def install_kernel(repository, *, version): return 'cache'")
    assert said.startswith("attention: FlashAttention-3 is in ")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["flash-attn3"]
    assert (tmp_path / "data/flash-attn3/metadata.json").read_text() == "{}"


@pytest.mark.parametrize("error", ["ConnectionError", "FileNotFoundError", "ValueError", "RuntimeError"])
def test_a_kernel_that_cannot_be_fetched_is_one_line(tmp_path: Path, error: str) -> None:
    said = copied(tmp_path, f"def install_kernel(repository, *, version): raise {error}('no\\n build')")
    assert said == f"attention: no FlashAttention-3 ({error}: no build)\n"
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="for machines without a GPU")
def test_nothing_is_fetched_for_a_machine_without_hopper(tmp_path: Path) -> None:
    assert "this machine has none" in kernel.fetch(tmp_path)
    assert not list(tmp_path.iterdir())
