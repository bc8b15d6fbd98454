"""How the model server fills a model with what a submission saved."""

import pytest
import torch
from torch import nn

from trainer.examining.served import fill


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.body = nn.Linear(3, 3)
        self.out = nn.Linear(3, 5, bias=False)


def saved(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.randn_like(tensor) for name, tensor in model.state_dict().items()}


def test_every_place_gets_its_tensor() -> None:
    model, tensors = Model(), saved(Model())
    fill(model, tensors)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in tensors.items())


def test_parts_that_were_compiled_are_found_by_their_own_names() -> None:
    model, tensors = Model(), saved(Model())
    model.body = torch.compile(model.body, backend="eager")  # type: ignore[assignment]
    fill(model, tensors)
    assert torch.equal(model.state_dict()["body._orig_mod.weight"], tensors["body.weight"])


def test_tied_places_share_one_tensor() -> None:
    model, tensors = Model(), saved(Model())
    model.out.weight = model.embed.weight
    del tensors["out.weight"]
    fill(model, tensors)
    assert torch.equal(model.out.weight, tensors["embed.weight"])


def test_a_tensor_too_many_too_few_or_of_another_shape_is_refused() -> None:
    tensors = saved(Model())
    with pytest.raises(ValueError, match="hold extra"):
        fill(Model(), tensors | {"extra": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        fill(Model(), tensors | {"body.bias": torch.zeros(4)})
    del tensors["body.weight"]
    with pytest.raises(ValueError, match=r"lack body\.weight"):
        fill(Model(), tensors)
