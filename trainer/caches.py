"""What a trial need not compile again: a copy of what the user's own genome compiled, private to the trial.

Inductor and Triton keep what they compile in folders, as code that whoever finds it there runs. So no trial
shares these with another. A **base** is written by the harness alone, once, from the folder of a trial whose
genome the user wrote (`keep`), after all its processes are dead; any other trial of the run begins with a
copy (`seeded`), which goes with its folder. Whatever a genome changes in its copy, the next does not see.

Entries are found by the hash of all they depend on (graph, settings, versions, device), so a base that does
not fit is no use and does no harm. Knobs that are numbers to the compiler, such as learning rates, fit.

Not covered:

- The base holds what the user's own genome wrote there: who does not trust that has no base.
- Where the sandbox is off, a candidate can write to the base, as it can to all else.
- Headers that are compiled ahead for code on the CPU lie elsewhere, and are made anew.
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

INDUCTOR, TRITON = "inductor", "triton"
GROUP = "__grp__*.json"  # in which Triton notes the full paths of what belongs together
MOST_FILES, MOST_MB = 20_000, 1024  # no copy of more is worth the time it saves


def seeded(folder: Path, base: Path) -> dict[str, str]:
    """Copy what `base` holds, if it is there, into the empty folder of a trial; the environment to use it.

    The environment is right without a base, too: what is compiled then is in the trial's own folder.
    """
    if base.is_dir():
        for name in (INDUCTOR, TRITON):
            if (base / name).is_dir():
                shutil.copytree(base / name, folder / name, copy_function=shutil.copyfile)
        for group in (folder / TRITON).rglob(GROUP):
            _move_group(group)
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / INDUCTOR),
        "TRITON_CACHE_DIR": str(folder / TRITON),
    }


def keep(folder: Path, base: Path) -> bool:
    """Make `base` of what a trial compiled in `folder`; False if there is one, or nothing fit to be kept.

    Only plain files are taken, and no link is followed. The trial's processes must be dead. Raises OSError if
    the disk is full.
    """
    found = {name: list(_plain(folder / name)) for name in (INDUCTOR, TRITON)}
    files = [path for paths in found.values() for path in paths]
    size = sum(path.lstat().st_size for path in files)
    if base.exists() or not files or len(files) > MOST_FILES or size > MOST_MB * 2**20:
        return False
    partial = Path(tempfile.mkdtemp(prefix=f".{base.name}-", dir=base.parent))
    for path in files:
        target = partial / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target, follow_symlinks=False)
    try:
        partial.rename(base)
    except OSError:  # another trial was first
        shutil.rmtree(partial)
        return False
    return True


def _plain(folder: Path) -> Iterator[Path]:
    """The regular files below `folder`, which may itself be a link and is then not entered, without locks."""
    if not folder.is_symlink():
        for place, _, names in os.walk(folder):
            paths = (Path(place, name) for name in names if not name.endswith(".lock"))
            yield from (path for path in paths if stat.S_ISREG(path.lstat().st_mode))


def _move_group(group: Path) -> None:
    """Have the paths in a group's file, made elsewhere, lead to its own folder."""
    paths = json.loads(group.read_text(encoding="utf-8"))["child_paths"]
    moved = {name: str(group.parent / Path(path).name) for name, path in paths.items()}
    group.write_text(json.dumps({"child_paths": moved}), encoding="utf-8")
