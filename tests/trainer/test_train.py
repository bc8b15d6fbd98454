"""The first genome: what it promises (causal, submits, fails fast), and that its parts do as they say."""

import copy
import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scripts import printed
from torch._dynamo.backends.debugging import aot_eager

from population import genome
from population.records import Knob
from trainer.hardware import Machine, sizing
from trainer.running.launch import Start

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "trainer" / "train.py").read_text()
LAPTOP = Machine(device="cpu", gpu="", gpu_memory_mib=0, cores=2, memory_mib=8_000)
SMALL = {**sizing("cpu", LAPTOP), "DEPTH": 3, "ASPECT_RATIO": 16, "WINDOW_PATTERN": "SL", "BATCH_SIZE": 4}

Load = Callable[..., Any]

# Inductor, when it is imported, complains of what torch does elsewhere.
of_inductors_own = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")


@pytest.fixture
def inductor() -> Iterator[None]:
    """Inductor, with nothing compiled, which does not try instruction sets: that takes longer."""
    from torch._inductor import config

    torch._dynamo.reset()
    with config.patch({"cpp.vec_isa_ok": True}):
        yield


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """Imports train.py, with these constants, beside the real prepare.py of a profile."""

    def loaded(profile: str = "cpu", **constants: Knob) -> ModuleType:
        patch.setenv("LINEAGES_PROFILE", profile)
        path = tmp_path_factory.mktemp("genome") / "train.py"
        path.write_text(genome.rewrite(TEXT, constants))
        imported("prepare", ROOT / "prepare.py", patch)
        return imported("train", path, patch)

    with pytest.MonkeyPatch.context() as patch:
        yield loaded


def imported(name: str, path: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def train(load: Load) -> Any:
    return load(**SMALL)


def awake(train: Any) -> torch.nn.Module:
    """A model in which every parameter matters; at first, much of it is multiplied by zero."""
    model: torch.nn.Module = train.build_model()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def tokens(train: Any, rows: int = 2, length: int | None = None) -> torch.Tensor:
    return torch.randint(train.prepare.VOCAB_SIZE, (rows, length or train.prepare.SEQUENCE_LEN))


# --- the contract ------------------------------------------------------------------------------------------


def write_rows(folder: Path, profile: str, vocabulary: int, capacity: int) -> None:
    """Rows in which every token follows from the last."""
    rows = (np.arange(capacity) + np.arange(512)[:, None]) % vocabulary
    (folder / "data" / profile).mkdir(parents=True)
    (folder / "data" / profile / "rows.u16").write_bytes(rows.astype("<u2").tobytes())


def with_data(train: Any, folder: Path) -> None:
    prepare = train.prepare
    write_rows(folder, prepare.PROFILE.name, prepare.VOCAB_SIZE, prepare.SEQUENCE_LEN + 1)
    prepare.TASK = folder


def test_a_trial_trains_and_leaves_weights_that_the_model_takes(
    tmp_path: Path, train: Any, forked: Start
) -> None:
    (tmp_path / "prepare.py").write_text((ROOT / "prepare.py").read_text())
    write_rows(tmp_path, "cpu", 512, 129)
    told = {"LINEAGES_PROFILE": "cpu", "LINEAGES_TASK": str(tmp_path), "LINEAGES_BUDGET_S": "2"}
    said = printed(forked, tmp_path, genome.rewrite(TEXT, SMALL), told)
    model = train.build_model()
    start = {name: parameter.clone() for name, parameter in model.state_dict().items()}
    weights = load_file(tmp_path / "submission" / "weights.safetensors")
    model.load_state_dict(weights)
    assert all(weight.isfinite().all() for weight in weights.values())
    assert not all(torch.equal(start[name], weight) for name, weight in weights.items())
    sequence = torch.arange(129)[None]
    with torch.no_grad():
        loss = train.cross_entropy(model, sequence[:, :-1], sequence[:, 1:])
    assert loss < math.log(512)
    assert "attention: scaled_dot_product_attention\n" in said


@pytest.mark.parametrize(
    ("profile", "constant", "value"),
    [("cpu", "SOFTCAP", math.nan), ("cpu", "UNEMBEDDING_STD", 1000.0), ("gpu", "UNEMBEDDING_STD", 1000.0)],
    ids=["nan", "saturated", "saturated-at-8192"],
)
def test_a_lost_loss_ends_training_at_once_and_says_so(
    load: Load, tmp_path: Path, profile: str, constant: str, value: float
) -> None:
    train = load(profile, **SMALL | {"DEPTH": 1, "BATCH_SIZE": 1})
    with_data(train, tmp_path)
    train.prepare.BUDGET_S = 10.0
    setattr(train, constant, value)
    model = train.build_model()
    with pytest.raises(SystemExit, match=r"training failed: the loss is .* at step 0"):
        train.train(model, train.Optimiser(model), train.cross_entropy)
    assert train.prepare.progress() < 1.0


def test_importing_draws_no_random_number_and_starts_no_clock(load: Load) -> None:
    train = load(**SMALL)
    assert train.prepare._run.started is None
    assert torch.equal(torch.get_rng_state(), torch.manual_seed(train.prepare.SEED).get_state())


@pytest.mark.parametrize("pattern", ["L", "SSSSL"])
def test_the_future_does_not_change_the_present(load: Load, pattern: str) -> None:
    train = load(**SMALL | {"WINDOW_PATTERN": pattern})
    model, before = awake(train), tokens(train)
    after = before.clone()
    after[:, 70:] = tokens(train)[:, 70:]
    with torch.no_grad():
        old, new = model(before), model(after)
    assert torch.equal(old[:, :70], new[:, :70])
    assert not torch.isclose(old[:, 70:], new[:, 70:]).all(-1).any()


@given(length=st.integers(1, 128), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_a_beginning_alone_gets_the_logits_it_has_in_the_whole(train: Any, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    model, row = awake(train), tokens(train)
    with torch.no_grad():
        torch.testing.assert_close(model(row[:, :length]), model(row)[:, :length], atol=1e-3, rtol=1e-3)


def test_logits_are_float32_and_capped(train: Any) -> None:
    logits = awake(train)(tokens(train, rows=3))
    assert logits.shape == (3, 128, 512)
    assert logits.dtype == torch.float32
    assert logits.abs().max() <= train.SOFTCAP


def test_the_first_guess_is_all_but_uniform(train: Any) -> None:
    loss = train.cross_entropy(train.build_model(), tokens(train), tokens(train))
    assert loss.item() == pytest.approx(math.log(512), rel=0.01)


def test_the_model_of_an_h100_is_built_without_memory(load: Load) -> None:
    train = load("h100")
    with torch.device("meta"):
        model = train.build_model()
        logits = model(torch.zeros(2, 2048, dtype=torch.long))
    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert logits.shape == (2, 2048, 8192)
    assert 50e6 < sum(parameter.numel() for parameter in model.parameters()) < 90e6


FULL_SIZE = [("h100", 81_559), ("h100", 24_000), ("gpu", 48_000), ("gpu", 24_000), ("gpu", 8_000)]


@pytest.mark.parametrize(("profile", "memory_mib"), FULL_SIZE)
def test_a_pass_of_full_size_gives_every_parameter_a_gradient(
    load: Load, profile: str, memory_mib: int
) -> None:
    train = load(profile, **sizing(profile, Machine("cuda", "a card", memory_mib, 8, 64_000)))
    with torch.device("meta"):
        model = train.build_model()
        batch = torch.zeros(train.BATCH_SIZE, train.prepare.SEQUENCE_LEN, dtype=torch.long)
        train.cross_entropy(model, batch, batch).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad.shape, parameter.grad.dtype) == (parameter.shape, torch.float32)


def mixed(train: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the model is in on CUDA, where a CPU can compute it too."""
    monkeypatch.setattr(train, "precision", lambda tokens: torch.bfloat16)
    return train


def test_mixed_precision_attends_in_one_dtype_and_learns_in_float32(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = mixed(load(**SMALL), monkeypatch)
    model, attended = train.build_model(), []
    for window in (model.short, model.long):
        window.register_forward_hook(lambda _, heads, out: attended.append({x.dtype for x in (*heads, out)}))
    logits = model(tokens(train))
    train.cross_entropy(model, tokens(train), tokens(train)).backward()
    assert attended == [{torch.bfloat16}] * 2 * train.DEPTH
    assert logits.dtype == torch.float32
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}


def test_mixed_precision_scores_what_full_precision_does(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    train = load(**SMALL)
    model, inputs, targets = train.build_model(), tokens(train), tokens(train)
    torch.nn.init.normal_(model.unembedding, std=0.05)
    with torch.no_grad():
        exact = train.cross_entropy(model, inputs, targets)
        mixed(train, monkeypatch)
        rounded = train.cross_entropy(model, inputs, targets)
    assert 0 < abs(rounded - exact) < 0.01


def test_tables_and_masks_are_no_part_of_a_submission(train: Any) -> None:
    model = train.build_model()
    assert model.state_dict().keys() == dict(model.named_parameters()).keys()


# --- the knobs ---------------------------------------------------------------------------------------------

CARDS = [0, 4_000, 8_000, 12_000, 16_000, 24_000, 40_000, 80_000]
MACHINES = [Machine("cuda" if mib else "cpu", "a card" if mib else "", mib, 2, 8_000) for mib in CARDS]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: f"{machine.gpu_memory_mib}MiB")
@pytest.mark.parametrize("profile", ["h100", "gpu", "cpu"])
def test_a_sized_genome_keeps_to_its_own_ranges(profile: str, machine: Machine) -> None:
    sized = genome.rewrite(TEXT, sizing(profile, machine))  # KeyError for a name that is no constant
    assert genome.holds(sized, {})
    for constant in genome.constants(sized).values():
        match constant.range:
            case genome.Interval(low, high):
                assert isinstance(constant.value, int | float) and low <= constant.value <= high, constant
            case genome.Choices(values):
                assert constant.value in values, constant
            case genome.Fixed():
                pass
            case None:
                assert constant.name == "POLAR_EXPRESS"


def test_the_width_is_rounded_up_to_whole_heads(load: Load) -> None:
    assert load().WIDTH == 640
    assert load(DEPTH=1, ASPECT_RATIO=16, HEAD_DIM=32, GATE_CHANNELS=8).WIDTH == 32


def test_rates_are_flat_and_then_fall_to_their_last_share(train: Any) -> None:
    assert [train.rate_at(progress) for progress in (0, 1 - train.WARMDOWN)] == [1.0, 1.0]
    assert train.rate_at(1 - train.WARMDOWN / 2) == pytest.approx((1 + train.FINAL_LR) / 2)
    assert train.rate_at(1.0) == pytest.approx(train.FINAL_LR)


def test_momentum_climbs_over_its_ramp_and_stays(load: Load) -> None:
    train = load(**SMALL | {"MOMENTUM_START": 0.6, "MOMENTUM": 0.9, "MOMENTUM_RAMP": 4})
    expected = [0.6, 0.675, 0.75, 0.825, 0.9, 0.9]
    assert [train.momentum_at(step) for step in range(6)] == pytest.approx(expected)


@pytest.mark.parametrize(("shape", "factor"), [((8, 8), 1), ((32, 8), 2), ((8, 32), 1), ((3, 8, 8), 1)])
def test_tall_matrices_learn_faster_by_the_root_of_their_shape(
    train: Any, shape: tuple[int, ...], factor: float
) -> None:
    muon = train.Muon([torch.nn.Parameter(torch.zeros(shape))])
    assert muon.lr == pytest.approx(train.MATRIX_LR * factor)


@pytest.mark.parametrize(("depth", "layers"), [(1, [0]), (2, [1]), (3, [0, 2]), (4, [1, 3]), (5, [0, 2, 4])])
def test_every_second_layer_has_a_value_embedding_and_the_last_always(
    load: Load, depth: int, layers: list[int]
) -> None:
    blocks = load(**SMALL | {"DEPTH": depth}).build_model().blocks
    assert [i for i, block in enumerate(blocks) if block.attention.value_embedding is not None] == layers


# --- attention ---------------------------------------------------------------------------------------------


def by_definition(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, length: int) -> Any:
    """Of one head [T, D], one position after the other."""
    rows = []
    for i in range(len(queries)):
        seen = slice(max(0, i - length + 1), i + 1)
        weights = (queries[i] @ keys[seen].mT / math.sqrt(queries.size(-1))).softmax(-1)
        rows.append(weights @ values[seen])
    return torch.stack(rows)


def assert_attends(attend: Any, positions: int, length: int) -> None:
    """That `attend` does as the definition does, in every row and head of its own."""
    heads = torch.randn(3, 2, positions, 2, 8)
    attended = attend(*heads)
    for row, head in itertools.product(range(2), range(2)):
        expected = by_definition(*heads[:, row, :, head], length)
        torch.testing.assert_close(attended[row, :, head], expected, atol=1e-5, rtol=1e-4)


@given(positions=st.integers(1, 128), length=st.integers(1, 128), seed=st.integers(0, 99))
@example(positions=128, length=128, seed=0)
@example(positions=128, length=1, seed=0)
@settings(max_examples=30, deadline=None)
def test_a_window_attends_as_the_definition_does(train: Any, positions: int, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    assert_attends(train.Window(length), positions, length)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@of_inductors_own
@given(blocks=st.integers(1, 3), length=st.integers(1, 384), seed=st.integers(0, 99))
@example(blocks=3, length=129, seed=0)
@settings(max_examples=10, deadline=None)
def test_flex_attention_attends_as_the_definition_does(
    train: Any, blocks: int, length: int, seed: int
) -> None:
    torch.manual_seed(seed)
    with pytest.MonkeyPatch.context() as patch, torch.compiler.set_stance("force_eager"), torch.no_grad():
        patch.setattr(train.prepare, "SEQUENCE_LEN", 128 * blocks)
        assert_attends(train.flexible(length), 128 * blocks, length)


@pytest.mark.slow
@of_inductors_own
@pytest.mark.usefixtures("inductor")
def test_compiled_flex_attention_leaves_out_nothing_that_is_visible(
    train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.prepare, "SEQUENCE_LEN", 384)
    with torch.inference_mode():  # as in an exam
        assert_attends(train.flexible(40), 384, 40)


def test_a_fresh_gate_adds_the_value_embedding_as_it_is(train: Any) -> None:
    attention, seen = train.build_model().blocks[-1].attention, []
    some, x = tokens(train), torch.randn(2, 128, train.WIDTH)

    def window(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        seen.append(values)
        return values

    attention(x, some, train.rotary_table(), window)
    expected = x @ attention.qkv[2].mT + attention.value_embedding(some)
    torch.testing.assert_close(seen[0].flatten(2), expected, atol=1e-5, rtol=1e-4)


def test_rotated_heads_meet_at_an_angle_that_depends_on_their_distance_only(train: Any) -> None:
    one, other = torch.randn(2, 32)
    table = train.rotary_table()
    turned = train.rotate(torch.stack((one, other)).expand(1, 128, 1, 2, 32), table)[0, :, 0]
    products = turned[:, 0] @ turned[:, 1].mT
    torch.testing.assert_close(products.diagonal(3), products[0, 3].expand(125), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(turned.norm(dim=-1), torch.stack((one, other)).norm(dim=-1).expand(128, 2))


@pytest.mark.parametrize(("pattern", "layers"), [("L", "LLLLL"), ("SL", "SLSLL"), ("SSSSL", "SSSSL")])
def test_the_pattern_repeats_over_the_layers_and_the_last_is_long(
    load: Load, pattern: str, layers: str
) -> None:
    train = load(**SMALL | {"DEPTH": 5, "WINDOW_PATTERN": pattern})
    model, used = train.build_model(), []
    for name in ("short", "long"):
        getattr(model, name).register_forward_hook(lambda *_, name=name: used.append(name[0].upper()))
    model(tokens(train))
    assert "".join(used) == layers


@pytest.mark.parametrize(
    ("package", "reason"),
    [
        ("", "ModuleNotFoundError"),
        ("def get_kernel(name): ...", "ImportError"),
        ("def get_local_kernel(folder): raise FileNotFoundError(folder)", "FileNotFoundError: flash-attn3"),
        (
            "def get_local_kernel(folder): raise RuntimeError('built for another torch')",
            "RuntimeError: built",
        ),
        ("def get_local_kernel(folder): return folder", "AttributeError"),
    ],
    ids=["no-package", "another-version", "not-fetched", "not-for-this-torch", "no-such-function"],
)
def test_a_kernel_that_cannot_be_had_is_done_without(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, package: str, reason: str
) -> None:
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    if package:
        (tmp_path / "kernels.py").write_text(package)
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setitem(sys.modules, "kernels", None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert train.kernel_in(Path("flash-attn3")) is None
    assert f"no FlashAttention-3: {reason}" in capsys.readouterr().out
    monkeypatch.delitem(sys.modules, "kernels", raising=False)


# --- optimiser ---------------------------------------------------------------------------------------------


@given(
    rows=st.integers(1, 48), columns=st.integers(1, 48), scale=st.floats(1e-4, 1e4), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_orthogonalised_matrices_have_singular_values_near_one(
    train: Any, rows: int, columns: int, scale: float, seed: int
) -> None:
    torch.manual_seed(seed)
    bases = [torch.linalg.qr(torch.randn(3, n, n)).Q[..., : min(rows, columns)] for n in (rows, columns)]
    values = torch.linspace(1.0, 0.05, min(rows, columns))
    matrices = scale * (bases[0] * values) @ bases[1].mT
    result = train.orthogonalise(matrices)
    assert result.shape == (3, rows, columns)
    singular = torch.linalg.svdvals(result)
    assert singular.min() > 0.7
    assert singular.max() < 1.3
    torch.testing.assert_close(result, bases[0] @ bases[1].mT, atol=0.3, rtol=0)


@pytest.mark.parametrize("shape", [(2, 24, 8), (2, 8, 24), (2, 8, 8)])
def test_neurons_of_unequal_updates_are_evened_out_at_the_same_norm(
    train: Any, shape: tuple[int, ...]
) -> None:
    axis = -1 if shape[1] >= shape[2] else -2
    update = torch.randn(shape)
    update.select(-3 - axis, 0).mul_(100)
    second = torch.zeros_like(update.sum(axis, keepdim=True))
    even = train.even_out(update, second)
    sizes = even.square().mean(axis)
    torch.testing.assert_close(sizes, sizes.mean(-1, keepdim=True).expand_as(sizes))
    torch.testing.assert_close(even.norm(dim=(1, 2)), update.norm(dim=(1, 2)))


def test_weights_decay_only_where_the_update_shrinks_them(train: Any) -> None:
    gradients, weights = torch.randn(2, 1, 16, 16).unbind()

    def stepped(decay: float) -> torch.Tensor:
        after, first, second = weights.clone(), torch.zeros(1, 16, 16), torch.zeros(1, 16, 1)
        train.muon_update(after, gradients, first, second, *torch.tensor([0.0, 0.1, decay]))
        return after

    shrunk = (weights - stepped(0.0)) * weights > 0
    decayed = stepped(0.0) - stepped(0.5)
    torch.testing.assert_close(decayed, torch.where(shrunk, 0.05 * weights, 0.0), atol=1e-6, rtol=1e-5)


def test_every_parameter_belongs_to_one_group(train: Any) -> None:
    model = train.build_model()
    adamw, muon = train.parameter_groups(model)
    grouped = [*(p for group in adamw for p in group["params"]), *(p for same in muon for p in same)]
    assert sorted(map(id, grouped)) == sorted(map(id, model.parameters()))
    assert {p.shape[-2:] for p in muon[0]} == {muon[0][0].shape[-2:]}
    assert not any(p.ndim < 2 for same in muon for p in same)


def test_muon_moves_every_matrix_of_a_stack_by_its_own_gradient(train: Any) -> None:
    pair = [torch.nn.Parameter(torch.zeros(2, 8, 8)), torch.nn.Parameter(torch.zeros(8, 8))]
    pair[0].grad, pair[1].grad = torch.randn(2, 8, 8), torch.randn(8, 8)
    with torch.no_grad():
        train.Muon(pair).step(rate=1.0, momentum=0.0, decay=0.0)
    for parameter in pair:
        assert parameter.grad is not None
        directions = train.orthogonalise(parameter.grad.view(-1, 8, 8)).view_as(parameter)
        assert torch.nn.functional.cosine_similarity(parameter.flatten(), -directions.flatten(), dim=0) > 0.9


def test_the_optimiser_holds_two_moments_for_adamw_and_less_for_muon(train: Any) -> None:
    model = train.build_model()
    optimiser = train.Optimiser(model)
    train.cross_entropy(model, tokens(train), tokens(train)).backward()
    optimiser.step(rate=1.0, momentum=0.9, decay=0.0)
    stepped = [p for group in optimiser.adamw.param_groups for p in group["params"]]
    matrices = [p for muon in optimiser.muons for p in muon.matrices]
    rows_or_columns = sum(p.numel() // min(p.shape[-2:]) for p in matrices)
    moments = [x for state in optimiser.adamw.state.values() for key, x in state.items() if key != "step"]
    assert sum(x.nbytes for x in moments) == 2 * sum(p.nbytes for p in stepped)
    held = sum(x.nbytes for muon in optimiser.muons for x in (muon.first, muon.second))
    assert held == sum(p.nbytes for p in matrices) + 4 * rows_or_columns


def test_warming_up_leaves_model_optimiser_and_chance_as_they_were(train: Any) -> None:
    model = awake(train)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimiser, chance = train.Optimiser(model), torch.get_rng_state()
    train.warm_up(model, optimiser, train.cross_entropy)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not optimiser.adamw.state
    assert not any(moment.any() for muon in optimiser.muons for moment in (muon.first, muon.second))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(chance, torch.get_rng_state())


# --- training ----------------------------------------------------------------------------------------------


def fed(train: Any, batches: list[tuple[torch.Tensor, torch.Tensor]], progress: float = 0.0) -> list[float]:
    """Train on these batches from here on, all at this progress; the list fills with the losses reported."""
    losses: list[float] = []
    train.prepare.batches = lambda batch_size: iter(batches)
    train.prepare.progress = lambda: progress
    train.prepare.report = lambda loss: losses.append(loss)
    return losses


def test_training_compiles_nothing_that_warming_up_did_not(load: Load, tmp_path: Path) -> None:
    graphs: list[object] = []

    def counting(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return aot_eager(graph, inputs)

    torch._dynamo.reset()
    train = load(**SMALL | {"DEPTH": 2, "ACCUMULATION": 2})
    with_data(train, tmp_path)
    model = train.build_model()
    optimiser = train.Optimiser(model)
    loss_of = torch.compile(train.cross_entropy, dynamic=False, backend=counting)
    for muon in optimiser.muons:
        muon.update = torch.compile(train.muon_update, dynamic=False, backend=counting)
    train.warm_up(model, optimiser, loss_of)
    compiled = len(graphs)
    real = list(itertools.islice(train.prepare.batches(4), 4))
    losses = fed(train, real)
    train.train(model, optimiser, loss_of)
    assert len(losses) == 2
    assert len(graphs) == compiled >= 1 + len(optimiser.muons)


@pytest.mark.slow
@of_inductors_own
@pytest.mark.usefixtures("inductor")
def test_compiled_by_inductor_a_step_is_what_it_is_eagerly(load: Load) -> None:
    train = load(**SMALL | {"DEPTH": 2, "WINDOW_PATTERN": "SL"})
    model, batch = awake(train), (tokens(train), tokens(train))
    compiled = copy.deepcopy(model)
    eager, fast = train.Optimiser(model), train.Optimiser(compiled)
    fast.muons[0].update = torch.compile(train.muon_update, dynamic=False)
    losses = []
    for loss_of, of, optimiser in (
        (train.cross_entropy, model, eager),
        (torch.compile(train.cross_entropy, dynamic=False), compiled, fast),
    ):
        losses.append(loss_of(of, *batch))
        losses[-1].backward()
        optimiser.step(rate=1.0, momentum=0.9, decay=0.1)
    torch.testing.assert_close(losses[1], losses[0], atol=1e-4, rtol=1e-4)
    for (name, one), other in zip(model.named_parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(other, one, atol=1e-3, rtol=1e-3, msg=lambda m: f"{name}: {m}")  # noqa: B023


def test_passes_that_make_up_a_step_are_one_large_batch(load: Load) -> None:
    weights, losses = [], []
    for passes in (1, 2):
        train = load(**SMALL | {"ACCUMULATION": passes})
        torch.manual_seed(0)
        model, batch = awake(train), (tokens(train, rows=4), tokens(train, rows=4))
        losses.append(fed(train, list(zip(*(part.chunk(passes) for part in batch), strict=True))))
        train.train(model, train.Optimiser(model), train.cross_entropy)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert len(losses[0]) == len(losses[1]) == 1
    assert losses[0] == pytest.approx(losses[1])
    torch.testing.assert_close(weights[0], weights[1], atol=1e-3, rtol=1e-3)


class PlainOptimiser:
    """The definitions, one parameter and one matrix at a time; its own table of rates."""

    def __init__(self, train: Any, model: torch.nn.Module) -> None:
        self.train, self.model = train, model
        self.memory: dict[Any, list[Any]] = {}
        root = math.sqrt(768 / train.WIDTH)
        self.adamw = {  # by the last two words of a name: rate, beta1, decay
            "embedding.weight": (train.EMBEDDING_LR * root, train.BETA1, 0.0),
            "value_embedding.weight": (train.VALUE_LR * root, train.BETA1, train.VALUE_DECAY),
            "unembedding": (train.UNEMBEDDING_LR * root, train.BETA1, 0.0),
            "residual_scale": (train.SCALAR_LR / 100, train.BETA1, 0.0),
            "input_scale": (train.SCALAR_LR, train.INPUT_BETA1, 0.0),
        }

    @torch.no_grad()
    def step(self, number: int, progress: float) -> None:
        train = self.train
        rate = train.FINAL_LR + (1 - train.FINAL_LR) * min(1.0, (1 - progress) / train.WARMDOWN)
        ramp = min(1.0, number / train.MOMENTUM_RAMP)
        momentum = (1 - ramp) * train.MOMENTUM_START + ramp * train.MOMENTUM
        for name, parameter in self.model.named_parameters():
            assert parameter.grad is not None
            if settings := self.adamw.get(".".join(name.split(".")[-2:])):
                self.adam(name, parameter, number + 1, rate, *settings)
            else:
                stack = parameter.view(-1, *parameter.shape[-2:])
                gradients = parameter.grad.view_as(stack)
                for i, (matrix, gradient) in enumerate(zip(stack, gradients, strict=True)):
                    decay = train.WEIGHT_DECAY * (1 - progress)
                    self.muon((name, i), matrix, gradient, rate, momentum, decay)

    def adam(
        self, key: str, weight: Any, count: int, rate: float, lr: float, beta1: float, decay: float
    ) -> None:
        m, v = self.memory.get(key, [0.0, 0.0])
        m = beta1 * m + (1 - beta1) * weight.grad
        v = self.train.BETA2 * v + (1 - self.train.BETA2) * weight.grad**2
        self.memory[key] = [m, v]
        weight *= 1 - rate * lr * decay
        corrected = m / (1 - beta1**count), v / (1 - self.train.BETA2**count)
        weight -= rate * lr * corrected[0] / (corrected[1].sqrt() + self.train.EPSILON)

    def muon(self, key: Any, weight: Any, gradient: Any, rate: float, momentum: float, decay: float) -> None:
        rows, columns = weight.shape
        first, second = self.memory.get(
            key,
            [
                torch.zeros_like(weight),
                torch.zeros(1, rows, 1) if rows >= columns else torch.zeros(1, 1, columns),
            ],
        )
        first = momentum * first + (1 - momentum) * gradient
        self.memory[key] = [first, second]  # even_out keeps the second in place
        direction = self.train.orthogonalise(((1 - momentum) * gradient + momentum * first)[None])
        update = self.train.even_out(direction, second)[0]
        update += decay * weight * (update * weight > 0)
        weight -= rate * self.train.MATRIX_LR * max(1.0, rows / columns) ** 0.5 * update


@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_steps_are_those_of_the_plain_definitions(load: Load, progress: float) -> None:
    train = load(**SMALL | {"DEPTH": 2, "MOMENTUM_RAMP": 4, "WEIGHT_DECAY": 0.5, "VALUE_DECAY": 0.1})
    model = awake(train)
    plain = copy.deepcopy(model)
    batches = [(tokens(train), tokens(train)) for _ in range(3)]
    fed(train, batches, progress)
    train.train(model, train.Optimiser(model), train.cross_entropy)
    by_hand = PlainOptimiser(train, plain)
    for number, (inputs, targets) in enumerate(batches):
        plain.zero_grad()
        train.cross_entropy(plain, inputs, targets).backward()
        by_hand.step(number, progress)
    for (name, trained), expected in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(trained, expected, atol=1e-3, rtol=1e-3, msg=lambda m: f"{name}: {m}")  # noqa: B023
