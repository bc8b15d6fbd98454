"""Runs a script of a test's own."""

import sys
from collections.abc import Mapping
from pathlib import Path

from trainer.running.launch import Start
from trainer.sandbox import environment


def printed(start: Start, folder: Path, text: str, told: Mapping[str, str]) -> str:
    """What a script prints that is run in `folder` and finds there the modules that it imports."""
    script, said = folder / "script.py", folder / "said"
    script.write_text(text)
    env = environment(str(folder), "cpu", told)
    with said.open("wb") as output:
        code = start([sys.executable, str(script)], folder, env, output.fileno()).wait()
    assert code == 0, said.read_text()
    return said.read_text()
