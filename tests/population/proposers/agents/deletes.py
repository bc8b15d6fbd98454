"""Deletes all there is, the .git that makes the folder a worktree too, and closes what it cannot delete."""

import shutil
from pathlib import Path

for path in Path().iterdir():
    shutil.rmtree(path) if path.is_dir() else path.unlink()
Path("closed").mkdir()
Path("closed/file").touch()
Path("closed").chmod(0)
