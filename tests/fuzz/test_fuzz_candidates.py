"""What candidates and tasks may say or leave: bytes of any kind, and only clear errors."""

import contextlib
import itertools
import math
import os
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from tests.fuzz.fuzzing import damaged, examples
from trainer.errors import BadInput
from trainer.examining.served import fill
from trainer.examining.submission import Refusal, copy_submission
from trainer.running.telemetry import Clock, Step, parse
from trainer.task import open_task

HILL = Path(__file__).resolve().parents[2] / "benchmarks" / "tasks" / "hill"
STEP = b'{"event": "step", "loss": 2.5, "steps": 10, "tokens": 40960}'
WEIGHTS = save({"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
COUNT = itertools.count()


@examples(300)
@given(st.one_of(damaged(STEP), damaged(b'{"event": "clock"}'), st.binary(), st.just(b"[" * 4000)))
def test_telemetry_is_an_event_or_nothing(line: bytes) -> None:
    match parse(line):
        case Step() as step:
            assert step.loss is None or math.isfinite(step.loss)
            assert 0 <= step.steps <= 2**53 and 0 <= step.tokens <= 2**53
        case other:
            assert other is None or isinstance(other, Clock)


@examples(150)
@given(st.one_of(damaged(WEIGHTS), st.binary()))
def test_damaged_weights_are_copied_as_they_are_and_load_or_are_refused(
    tmp_path: Path, content: bytes
) -> None:
    folder = tmp_path / str(next(COUNT))
    (folder / "left").mkdir(parents=True)
    (folder / "left" / "weights.safetensors").write_bytes(content)
    copy_submission(folder / "left", folder / "copy")
    copied = folder / "copy" / "weights.safetensors"
    assert copied.read_bytes() == content
    with contextlib.suppress(SafetensorError, ValueError, RuntimeError):  # what the server ends with, named
        fill(torch.nn.Linear(3, 2), load_file(copied))


NAMES = st.sampled_from(["weights.safetensors", "a", "..a", "-rf", "\udcff", "b" * 255, "\n", "é"])
KINDS = st.sampled_from(["file", "folder", "link", "dangling", "pipe", "itself"])


@examples(100)
@given(st.dictionaries(NAMES, KINDS, max_size=4))
def test_a_submission_of_anything_but_plain_files_is_refused(tmp_path: Path, left: dict[str, str]) -> None:
    folder = tmp_path / str(next(COUNT))
    (folder / "left").mkdir(parents=True)
    for name, kind in left.items():
        path = folder / "left" / name
        match kind:
            case "file":
                path.write_bytes(b"x")
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case _:
                path.symlink_to({"link": "/etc/hostname", "itself": path}.get(kind, "nowhere"))
    try:
        copy_submission(folder / "left", folder / "copy")
    except Refusal as refusal:
        assert set(left.values()) != {"file"} and "\n" not in str(refusal)
    else:
        assert set(left.values()) <= {"file"}


@examples(5)
@given(
    name=st.sampled_from(["prepare.py", "train.py", "program.md"]),
    content=st.one_of(
        damaged((HILL / "prepare.py").read_bytes()),
        st.binary(max_size=40),
        st.sampled_from([b"\0", b"raise SystemExit", b"METRIC = 3", b"BUDGET_S = float('nan')", b"(" * 300]),
    ),
)
def test_a_task_of_any_text_opens_or_is_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / str(next(COUNT))
    folder.mkdir()
    for path in HILL.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(content if path.name == name else path.read_bytes())
    with contextlib.suppress(BadInput):
        assert open_task(folder, "cpu").budget_s > 0
