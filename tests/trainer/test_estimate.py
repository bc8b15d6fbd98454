"""What a preflight says a genome takes is what torch takes: weights exactly, what is saved within a fifth."""

import re
from pathlib import Path

import pytest
from scripts import printed

from population import genome
from population.records import Knob
from trainer.hardware import Machine, sizing
from trainer.preflight import Preflight
from trainer.running.launch import Start
from trainer.task import Task

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "trainer" / "train.py").read_text()
PREPARE = (ROOT / "prepare.py").read_text()
TAKEN = """
import os, torch, train, prepare
from torch.autograd.graph import saved_tensors_hooks

def storages(tensors):
    return {x.untyped_storage()._cdata: x.untyped_storage() for x in tensors}

def mb(found):
    return sum(storage.nbytes() for storage in found.values()) / 2**20

kept = {}
with torch.device(os.environ["ON"]):
    model = train.build_model()
    own = storages([*model.parameters(), *model.buffers()])
    if os.environ["ON"] == "cpu":
        tokens = torch.zeros(train.BATCH_SIZE, prepare.SEQUENCE_LEN, dtype=torch.int64)
        with saved_tensors_hooks(lambda x: (kept.update(storages([x])), x)[1], lambda x: x):
            loss = train.cross_entropy(model, tokens, tokens)
print(mb(own), mb({place: storage for place, storage in kept.items() if place not in own}))
"""


pytestmark = pytest.mark.usefixtures("rehearsing")


def taken(start: Start, folder: Path, text: str, profile: str, device: str) -> tuple[float, float]:
    """MB of weights and of what a pass saves, by counting them in a process of its own."""
    (folder / "train.py").write_text(text)
    (folder / "prepare.py").write_text(PREPARE)
    said = printed(start, folder, TAKEN, {"LINEAGES_PROFILE": profile, "ON": device})
    weights, saved = map(float, said.split())
    return weights, saved


def told(folder: Path, text: str, profile: str, device: str) -> tuple[float, float]:
    """The same as a preflight for far too little memory says them."""
    task = Task(str(ROOT), PREPARE, "val_bpb", 300.0, 240.0, "", profile, device)
    why = Preflight(task, str(folder / "scratch"), 1.0)(text) or ""
    found = re.search(r"activations are ([\d,]+) MB .*it has ([\d,]+) MB of weights", why)
    assert found, why
    saved, weights = (float(number.replace(",", "")) for number in found.groups())
    return weights, saved


def test_weights_are_counted_exactly_at_full_size(tmp_path: Path, forked: Start) -> None:
    weights, _ = taken(forked, tmp_path, TEXT, "h100", "meta")
    assert told(tmp_path, TEXT, "h100", "cuda")[0] == round(weights) > 200


def test_what_a_pass_saves_is_counted_as_the_cpu_saves_it(tmp_path: Path, forked: Start) -> None:
    small: dict[str, Knob] = {**sizing("cpu", Machine("cpu", "", 0, 2, 8_000)), "BATCH_SIZE": 64}
    text = genome.rewrite(TEXT, small)
    weights, saved = taken(forked, tmp_path, text, "cpu", "cpu")
    told_weights, told_saved = told(tmp_path, text, "cpu", "cpu")
    assert told_weights == round(weights)
    assert told_saved == pytest.approx(saved, rel=0.2)
