"""What the user's own genome compiled serves every trial, and no trial can change it for another."""

import json
import os
import sys
from pathlib import Path

import pytest

from trainer.caches import INDUCTOR, TRITON, keep, seeded
from trainer.running.launch import Start
from trainer.sandbox import confined, environment

COMPILED = "tn/compiled.so"


def trial(folder: Path) -> Path:
    """The folder of a trial that has compiled something."""
    (folder / INDUCTOR / "tn").mkdir(parents=True)
    (folder / INDUCTOR / COMPILED).write_text("code")
    return folder


def test_a_trial_begins_with_what_the_base_holds_and_cannot_change_it(tmp_path: Path) -> None:
    base, next_one = tmp_path / "base", tmp_path / "2"
    assert keep(trial(tmp_path / "1"), base)
    told = seeded(next_one, base)
    copy = Path(told["TORCHINDUCTOR_CACHE_DIR"], COMPILED)
    assert copy.is_relative_to(next_one) and copy.read_text() == "code"
    copy.write_text("poison")
    assert (base / INDUCTOR / COMPILED).read_text() == "code"


def test_without_a_base_a_trial_compiles_in_its_own_folder(tmp_path: Path) -> None:
    told = seeded(tmp_path / "1", tmp_path / "base")
    assert all(Path(folder).is_relative_to(tmp_path / "1") for folder in told.values())
    assert not (tmp_path / "1").exists()


def test_the_environment_is_the_one_a_confined_process_has_anyway(tmp_path: Path) -> None:
    assert seeded(tmp_path, tmp_path / "base").items() <= environment(str(tmp_path), "cuda", {}).items()


def test_only_plain_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sk-1")
    folder = trial(tmp_path / "1") / INDUCTOR
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / "a.lock").touch()
    assert keep(folder.parent, tmp_path / "base")
    kept = {path.name for path in (tmp_path / "base").rglob("*") if not path.is_dir()}
    assert kept == {"compiled.so"}


def test_a_link_in_the_place_of_a_cache_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / TRITON).symlink_to(trial(tmp_path / "elsewhere"))
    assert not keep(tmp_path / "1", tmp_path / "base")


def test_a_base_is_written_once(tmp_path: Path) -> None:
    base = tmp_path / "base"
    assert keep(trial(tmp_path / "1"), base)
    later = trial(tmp_path / "2")
    (later / INDUCTOR / COMPILED).write_text("other code")
    assert not keep(later, base)
    assert (base / INDUCTOR / COMPILED).read_text() == "code"


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_MB"])
def test_what_is_too_much_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(f"trainer.caches.{limit}", 0)
    assert not keep(trial(tmp_path / "1"), tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_triton_finds_what_was_compiled_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton = pytest.importorskip("triton", reason="torch brings Triton along on Linux only")
    manager = triton.runtime.cache.FileCacheManager
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path / "1" / TRITON))
    first = manager("KEY")
    first.put_group("kernel.json", {"kernel.cubin": first.put(b"machine code", "kernel.cubin")})
    assert keep(tmp_path / "1", tmp_path / "base")
    told = seeded(tmp_path / "2", tmp_path / "base")
    monkeypatch.setattr(triton.knobs.cache, "dir", told["TRITON_CACHE_DIR"])
    found = manager("KEY").get_group("kernel.json")
    assert found == {"kernel.cubin": str(tmp_path / "2" / TRITON / "KEY" / "kernel.cubin")}
    assert Path(found["kernel.cubin"]).read_bytes() == b"machine code"


COMPILE = """
import json, torch
from torch._dynamo.utils import counters
torch._inductor.config.cpp_cache_precompile_headers = False  # which takes longer than all the rest, as does
torch._inductor.config.cpp.vec_isa_ok = False  # trying which instructions there are
assert torch.allclose(torch.compile(torch.sin, dynamic=False)(torch.ones(8)), torch.sin(torch.ones(8)))
print(json.dumps({name: counters["inductor"]["fxgraph_cache_" + name] for name in ("hit", "miss")}))
"""


def compiles(start: Start, folder: Path, base: Path) -> dict[str, int]:
    """How often Inductor found what it needed, in a confined process that begins with a base."""
    folder.mkdir()
    script, said = folder / "script.py", folder / "said"
    script.write_text(COMPILE)
    env = environment(str(folder), "cpu", seeded(folder, base))
    with said.open("wb") as output:
        command = confined([sys.executable, str(script)], "cpu")
        code = start(command, folder, env, output.fileno()).wait()
    assert code == 0, said.read_text()
    found: dict[str, int] = json.loads(said.read_text().splitlines()[-1])
    return found


def test_inductor_compiles_nothing_that_the_base_holds(tmp_path: Path, forked: Start) -> None:
    base = tmp_path / "base"
    assert compiles(forked, tmp_path / "1", base) == {"hit": 0, "miss": 1}
    assert keep(tmp_path / "1", base)
    assert compiles(forked, tmp_path / "2", base) == {"hit": 1, "miss": 0}
