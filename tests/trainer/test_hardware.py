"""What machine this is, and how the first genome is sized to it."""

import os

import pytest

from trainer.errors import BadInput
from trainer.hardware import Machine, detect, gpu_memory_mb, gpu_utilisation, sizing

FULL_STEP = 64 * 2  # rows of a step as committed


def card(memory_mib: int) -> Machine:
    return Machine(device="cuda", gpu="a card", gpu_memory_mib=memory_mib, cores=8, memory_mib=64_000)


def test_a_machine_asked_to_use_its_cpu_has_no_gpu() -> None:
    machine = detect("cpu")
    assert (machine.device, machine.gpu, machine.gpu_memory_mib) == ("cpu", "", 0)
    assert machine.cores >= 1
    assert machine.memory_mib > 100


@pytest.mark.parametrize("visible", ["", "-1", "GPU-no-such-card", "99"])
def test_hidden_cards_are_not_there(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert detect("auto").device == "cpu"
    with pytest.raises(BadInput, match="needs an NVIDIA GPU"):
        detect("cuda")


def test_memory_of_a_card_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_memory_mb([os.getpid()]) == 0.0


def test_a_card_that_is_not_there_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_utilisation() is None


def test_a_card_of_80_gb_trains_the_genome_as_committed() -> None:
    assert sizing("h100", card(81_559)) == {}


@pytest.mark.parametrize("memory_mib", [8_000, 24_000, 40_000])
def test_a_smaller_card_takes_more_passes_to_the_same_step(memory_mib: int) -> None:
    sized = sizing("h100", card(memory_mib))
    assert sized.keys() == {"BATCH_SIZE", "ACCUMULATION"}
    assert int(sized["BATCH_SIZE"]) * int(sized["ACCUMULATION"]) == FULL_STEP


def test_more_memory_never_means_a_shallower_model() -> None:
    depths = [int(sizing("gpu", card(mib))["DEPTH"]) for mib in range(2_000, 100_000, 1_000)]
    assert depths == sorted(depths)
    assert depths[0] < depths[-1]


def test_another_task_is_not_sized() -> None:
    assert sizing("", detect("cpu")) == {}
