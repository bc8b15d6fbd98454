"""The genome every run starts from: pretrains one GPT for the budget and submits it.

Run as `python train.py` in a folder that also holds `prepare.py`, which owns data, order, seed, clock and
score; everything else is here, and all of it may change. The model maps tokens [B, T] to logits [B, T, vocab]
and position t may depend on tokens up to t only. Importing this file trains nothing.

Shapes: B rows, T positions, C width, H heads, D head size, V vocabulary, N matrices of one shape.

The constants are knobs. Behind the last semicolon of its comment, each says what values make sense; every
combination that also passes the asserts is a valid model.
"""

import functools
import gc
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import prepare

# Model
DEPTH = 9  # layers; 1 to 16
ASPECT_RATIO = 57  # width for each layer of depth, before rounding up to whole heads; 16 to 256, log
HEAD_DIM = 128  # channels of an attention head; one of 32, 64, 128
WIDTH = -(-DEPTH * ASPECT_RATIO // HEAD_DIM) * HEAD_DIM  # channels of the residual stream; fixed
MLP_RATIO = 4  # hidden channels of the MLP for each of the width; 1 to 8
WINDOW_PATTERN = "SSSSL"  # S short, L long, over the layers; one of "L", "SL", "SSL", "SSSL", "SSSSL"
SHORT_WINDOW = 8  # a short layer sees the context divided by this; 1 to 32, power of two
ROPE_BASE = 200_000  # of the rotary periods: the slowest is about 2 pi times this; 1000 to 1000000, log
GATE_CHANNELS = 32  # channels that open a value embedding's gate; one of 8, 16, 32
SOFTCAP = 15.0  # logits stay within plus and minus this; 5 to 60, log

# Initial values
INIT_SCALE = 0.68  # of matrices and value embeddings, times 1/sqrt(width); 0.1 to 2, log
UNEMBEDDING_STD = 0.001  # of the output layer; 0.0001 to 0.1, log
RESIDUAL_SCALE = 1.0  # share of the stream that enters a layer; 0.5 to 1.5
INPUT_SCALE = 0.05  # share of the embedded input added before a layer; 0 to 0.5

# Batch
BATCH_SIZE = 64  # rows of one pass, bounded by memory; 1 to 128, power of two
ACCUMULATION = 2  # passes for an optimiser step; 1 to 16, power of two

# Muon, for the matrices
MATRIX_LR = 0.04  # learning rate of the matrices; 0.001 to 0.5, log
MOMENTUM_START = 0.85  # Muon's momentum at the first step; 0.5 to 0.99
MOMENTUM = 0.95  # Muon's momentum after the ramp; 0.5 to 0.99
MOMENTUM_RAMP = 300  # steps the ramp takes; 1 to 1000, log
VARIANCE_BETA = 0.95  # memory of NorMuon's second moment; 0.5 to 0.999
WEIGHT_DECAY = 0.2  # cautious decay of the matrices, falling to zero over training; 0 to 1

# AdamW, for the rest; rates of embeddings and output layer are for a width of 768, others get 1/sqrt(width)
EMBEDDING_LR = 0.8  # token embedding; 0.01 to 5, log
VALUE_LR = 0.8  # value embeddings; 0.01 to 5, log
UNEMBEDDING_LR = 0.006  # output layer; 0.0005 to 0.1, log
SCALAR_LR = 0.5  # shares of the input; shares of the stream learn at a hundredth of it; 0.01 to 5, log
VALUE_DECAY = 0.003  # weight decay of the value embeddings; 0 to 0.1
BETA1 = 0.8  # memory of AdamW's first moment; 0.5 to 0.95
INPUT_BETA1 = 0.96  # the same, of the shares of the input; 0.5 to 0.99
BETA2 = 0.95  # memory of AdamW's second moment; 0.8 to 0.999
EPSILON = 1e-10  # of AdamW; fixed

# Schedule
WARMDOWN = 0.75  # last part of training over which the rates fall; 0.05 to 1
FINAL_LR = 0.05  # share of the rates left at the end; 0 to 0.5

LOSS_LIMIT = 2.0  # times the loss of a uniform guess, above which training has failed; fixed

# Polar Express: the composed odd polynomials (a x + b x^3 + c x^5) that send singular values to 1 fastest;
# five steps (Amsel et al. 2025, arXiv 2505.16932). They bear values up to 1.02 and diverge beyond 1.03.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values [B, T, H, D] -> [B, T, H, D]


def norm(x: Tensor) -> Tensor:
    """Scale the last dimension to a root mean square of 1, without parameters; keeps the dtype."""
    return F.rms_norm(x, (x.size(-1),), eps=1e-6).type_as(x)


# --- attention ---------------------------------------------------------------------------------------------


def visible(query: Tensor, key: Tensor, length: int) -> Tensor:
    """Whether the position `query` may look at `key`: itself and the `length` - 1 positions before it."""
    return (key <= query) & (query - key < length)


class Window(nn.Module):
    """Causal attention over the last `length` positions, by the fastest means the device has."""

    mask: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        positions = torch.arange(prepare.SEQUENCE_LEN)
        self.register_buffer("mask", visible(positions[:, None], positions, length), persistent=False)
        self.kernel = cuda_kernel(length) if self.mask.is_cuda else None

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        length = queries.size(1)
        if self.kernel and length == prepare.SEQUENCE_LEN:
            return self.kernel(queries, keys, values)
        mask = self.mask[:length, :length] if self.length < length else None
        queries, keys, values = (x.transpose(1, 2) for x in (queries, keys, values))
        attended = F.scaled_dot_product_attention(queries, keys, values, mask, is_causal=mask is None)
        return attended.transpose(1, 2)


def cuda_kernel(length: int) -> Attend:
    """FlashAttention-3 on Hopper if it was fetched, else FlexAttention, for rows of full length."""
    if flash := flash_attention_3():
        return functools.partial(flash, causal=True, window_size=(length - 1, 0))
    return flexible(length)


def flexible(length: int) -> Attend:
    """FlexAttention, which leaves out the blocks of 128 by 128 positions in which nothing is visible."""
    from torch.nn.attention.flex_attention import create_block_mask

    blocks = create_block_mask(
        lambda _batch, _head, query, key: visible(query, key, length),
        None, None, prepare.SEQUENCE_LEN, prepare.SEQUENCE_LEN, device=prepare.DEVICE,
    )  # fmt: skip
    flex = compiled_flex_attention()
    return lambda *qkv: flex(*(x.transpose(1, 2) for x in qkv), block_mask=blocks).transpose(1, 2)


@functools.cache
def flash_attention_3() -> Callable[..., Tensor] | None:
    """The kernel that `uv run prepare.py` put beside the data, or None."""
    if torch.cuda.get_device_capability() != (9, 0):
        return None
    return kernel_in(prepare.TASK / "data" / "flash-attn3")


def kernel_in(folder: Path) -> Callable[..., Tensor] | None:
    """`flash_attn_func` of a local build, never from the network; or None, and a line that says why."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        from kernels import get_local_kernel  # type: ignore[import-untyped]

        found: Callable[..., Tensor] = get_local_kernel(folder).flash_attn_func
    except (AttributeError, ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"no FlashAttention-3: {type(error).__name__}: {error}")
        return None
    return found


def attention_used() -> str:
    """What attends to rows of full length on this device."""
    if prepare.DEVICE.type != "cuda":
        return "scaled_dot_product_attention"
    return "FlashAttention-3" if flash_attention_3() else "FlexAttention"


@functools.cache
def compiled_flex_attention() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


# --- model -------------------------------------------------------------------------------------------------


def rotary_table() -> Tensor:
    """Cosines and signed sines of every position, float32 [2, T, 1, 1, D], for the two halves of a head."""
    rates = ROPE_BASE ** -(torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angles = torch.outer(torch.arange(prepare.SEQUENCE_LEN, dtype=torch.float32), rates)
    cosines = torch.cat((angles.cos(), angles.cos()), -1)
    sines = torch.cat((angles.sin(), -angles.sin()), -1)
    return torch.stack((cosines, sines))[:, :, None, None]


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn heads x [B, T, ..., H, D] by their position (RoPE): channel i pairs with channel i + D/2."""
    cosines, sines = table
    return torch.addcmul(x * cosines, x.roll(HEAD_DIM // 2, -1), sines)


class Attention(nn.Module):
    """Self-attention with normalised queries and keys and, in some layers, a gated value embedding."""

    def __init__(self, has_value_embedding: bool) -> None:
        super().__init__()
        heads = WIDTH // HEAD_DIM
        self.qkv = nn.Parameter(torch.empty(3, WIDTH, WIDTH))
        self.out = nn.Parameter(torch.empty(WIDTH, WIDTH))
        self.value_embedding = nn.Embedding(prepare.VOCAB_SIZE, WIDTH) if has_value_embedding else None
        self.gate = nn.Parameter(torch.empty(heads, GATE_CHANNELS)) if has_value_embedding else None

    def forward(self, x: Tensor, tokens: Tensor, table: Tensor, window: nn.Module) -> Tensor:
        qkv = F.linear(x, self.qkv.flatten(0, 1)).view(*x.shape[:2], 3, -1, HEAD_DIM)
        queries, keys = norm(rotate(qkv[:, :, :2], table)).type_as(qkv).unbind(2)
        values = qkv[:, :, 2]
        if self.value_embedding is not None and self.gate is not None:
            gate = 2 * F.linear(x[..., :GATE_CHANNELS], self.gate).sigmoid()
            embedded = self.value_embedding(tokens).view(values.shape)
            values = values + (gate[..., None] * embedded).type_as(values)
        return F.linear(window(queries, keys, values).flatten(2), self.out)


class MLP(nn.Module):
    """Two matrices with the square of a rectifier between them."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.empty(MLP_RATIO * WIDTH, WIDTH))
        self.down = nn.Parameter(torch.empty(WIDTH, MLP_RATIO * WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.up).relu().square(), self.down)


class Block(nn.Module):
    """One layer: attention, then the MLP, each reading a normalised stream and adding to it."""

    def __init__(self, has_value_embedding: bool) -> None:
        super().__init__()
        self.attention = Attention(has_value_embedding)
        self.mlp = MLP()

    def forward(self, x: Tensor, tokens: Tensor, table: Tensor, window: nn.Module) -> Tensor:
        x = x + self.attention(norm(x), tokens, table, window)
        return x.add(self.mlp(norm(x)))


def precision(tokens: Tensor) -> torch.dtype:
    """What activations are held in where the tokens are: weights and logits are float32 everywhere."""
    return torch.bfloat16 if tokens.is_cuda else torch.float32


class GPT(nn.Module):
    """Tokens int [B, T], T up to prepare.SEQUENCE_LEN, to soft-capped logits float32 [B, T, V]."""

    rotary: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(prepare.VOCAB_SIZE, WIDTH)
        # Value embeddings in every second layer, counted from the last, which always has one.
        self.blocks = nn.ModuleList(Block((DEPTH - 1 - layer) % 2 == 0) for layer in range(DEPTH))
        self.residual_scale = nn.Parameter(torch.empty(DEPTH))
        self.input_scale = nn.Parameter(torch.empty(DEPTH))
        self.unembedding = nn.Parameter(torch.empty(prepare.VOCAB_SIZE, WIDTH))
        self.short = Window(max(1, prepare.SEQUENCE_LEN // SHORT_WINDOW))
        self.long = Window(prepare.SEQUENCE_LEN)
        self.register_buffer("rotary", rotary_table(), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Layers start as the identity: what writes to the stream is zero, and gates stand at 1."""
        bound = INIT_SCALE * math.sqrt(3 / WIDTH)  # of a uniform distribution with deviation 1/sqrt(C)
        self.embedding.weight.normal_()
        self.unembedding.normal_(std=UNEMBEDDING_STD)
        self.residual_scale.fill_(RESIDUAL_SCALE)
        self.input_scale.fill_(INPUT_SCALE)
        for name, parameter in self.blocks.named_parameters():
            if name.endswith(("out", "down", "gate")):
                parameter.zero_()
            else:
                parameter.uniform_(-bound, bound)

    def forward(self, tokens: Tensor) -> Tensor:
        # Mixed precision belongs to the model, so that whoever calls it gets the numbers it trained with.
        dtype = precision(tokens)
        device = "cuda" if tokens.is_cuda else "cpu"
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            return self.logits(tokens)

    def logits(self, tokens: Tensor) -> Tensor:
        table = self.rotary[:, : tokens.size(1)]
        x = norm(self.embedding(tokens)).to(precision(tokens))
        embedded = x
        for layer, block in enumerate(self.blocks):
            long = layer == DEPTH - 1 or WINDOW_PATTERN[layer % len(WINDOW_PATTERN)] == "L"
            x = self.residual_scale[layer] * x + self.input_scale[layer] * embedded
            x = block(x, tokens, table, self.long if long else self.short)
        logits = F.linear(norm(x), self.unembedding).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP)


def build_model() -> nn.Module:
    """The model on prepare.DEVICE or, under `torch.device("meta")`, without any memory."""
    ambient = torch.get_default_device()
    with ambient if ambient.type == "meta" else prepare.DEVICE:
        return GPT()


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean loss in nats for each token, of inputs and targets [B, T]."""
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


# --- optimiser ---------------------------------------------------------------------------------------------


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix of each in [N, m, n]: singular values near 1, same directions."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    # The largest singular value is at most the norm; a hundredth is left for the rounding of bfloat16.
    x = x / (1.01 * x.norm(dim=(-2, -1), keepdim=True) + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).type_as(matrices)


def even_out(update: Tensor, second: Tensor) -> Tensor:
    """NorMuon (Li et al. 2025, arXiv 2510.05491): divide each neuron's update [N, m, n] by its usual size.

    `second` is the running mean square along the shorter side and is updated in place; the Frobenius norm
    of each matrix stays what it was.
    """
    energy = update.square().mean(-1 if second.size(-1) == 1 else -2, keepdim=True)
    second.lerp_(energy, 1 - VARIANCE_BETA)
    scale = second.clamp_min(1e-10).rsqrt()
    change = (energy * scale.square()).sum((-2, -1), keepdim=True)
    return update * scale * (energy.sum((-2, -1), keepdim=True) / change.clamp_min(1e-10)).sqrt()


def muon_update(
    weights: Tensor,
    gradients: Tensor,
    first: Tensor,
    second: Tensor,
    momentum: Tensor,
    lr: Tensor,
    decay: Tensor,
) -> None:
    """One step of Muon on matrices [N, m, n], in place. Settings are 0-d tensors, so that none recompiles."""
    first.lerp_(gradients, 1 - momentum)
    update = even_out(orthogonalise(gradients.lerp(first, momentum)), second)
    # Cautious weight decay (arXiv 2510.12402): only where the update shrinks the weight anyway.
    update = update + decay * weights * (update * weights > 0)
    weights.sub_(lr * update)


class Muon:
    """Muon for matrices of one shape, which are stepped as one stack [N, m, n]."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        self.matrices = matrices
        self.shape = rows, columns = matrices[0].shape[-2:]
        self.first = torch.zeros_like(self.stacked(matrices))
        self.second = torch.zeros_like(self.first[..., :1] if rows >= columns else self.first[:, :1])
        self.lr = MATRIX_LR * math.sqrt(max(1, rows / columns))
        self.update = torch.compile(muon_update, dynamic=False) if self.first.is_cuda else muon_update

    def stacked(self, tensors: Iterable[Tensor]) -> Tensor:
        return torch.cat([tensor.reshape(-1, *self.shape) for tensor in tensors])

    def step(self, rate: float, momentum: float, decay: float) -> None:
        weights = self.stacked(self.matrices)
        gradients = self.stacked(torch.zeros_like(m) if m.grad is None else m.grad for m in self.matrices)
        settings = (torch.tensor(setting) for setting in (momentum, self.lr * rate, decay))
        self.update(weights, gradients, self.first, self.second, *settings)
        parts = torch.split(weights.flatten(), [matrix.numel() for matrix in self.matrices])
        for matrix, part in zip(self.matrices, parts, strict=True):
            matrix.copy_(part.view_as(matrix))


def parameter_groups(model: nn.Module) -> tuple[list[dict[str, Any]], list[list[nn.Parameter]]]:
    """AdamW's groups with their settings, and lists of matrices of one shape for Muon."""
    rate = math.sqrt(768 / WIDTH)
    by_ending: dict[str, dict[str, Any]] = {
        "value_embedding.weight": {"lr": VALUE_LR * rate, "weight_decay": VALUE_DECAY},
        "unembedding": {"lr": UNEMBEDDING_LR * rate},
        "embedding.weight": {"lr": EMBEDDING_LR * rate},
        "residual_scale": {"lr": SCALAR_LR / 100},
        "input_scale": {"lr": SCALAR_LR, "betas": (INPUT_BETA1, BETA2)},
    }
    by_shape: dict[torch.Size, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        group = next((group for ending, group in by_ending.items() if name.endswith(ending)), None)
        parameters = (
            by_shape.setdefault(parameter.shape[-2:], []) if group is None else group.setdefault("params", [])
        )
        parameters.append(parameter)
    return list(by_ending.values()), list(by_shape.values())


class Optimiser:
    """Muon for the matrices of the layers, AdamW for embeddings, output layer and scalars."""

    def __init__(self, model: nn.Module) -> None:
        groups, matrices = parameter_groups(model)
        self.adamw = torch.optim.AdamW(
            groups, betas=(BETA1, BETA2), eps=EPSILON, weight_decay=0.0, fused=True
        )
        self.peak_lrs = [group["lr"] for group in self.adamw.param_groups]
        self.muons = [Muon(same_shape) for same_shape in matrices]
        self.model = model

    @torch.no_grad()
    def step(self, rate: float, momentum: float, decay: float) -> None:
        """Step with `rate` times the peak learning rates, and drop the gradients."""
        for group, peak in zip(self.adamw.param_groups, self.peak_lrs, strict=True):
            group["lr"] = peak * rate
        self.adamw.step()
        for muon in self.muons:
            muon.step(rate, momentum, decay)
        self.model.zero_grad()

    def forget(self) -> None:
        """Be as new: no moments, no count of steps."""
        self.adamw.state.clear()
        for muon in self.muons:
            muon.first.zero_()
            muon.second.zero_()


def rate_at(progress: float) -> float:
    """Share of the peak learning rates at `progress` (0 to 1) of the budget: flat, then a linear fall."""
    return FINAL_LR + (1 - FINAL_LR) * min(1.0, (1 - progress) / WARMDOWN)


def momentum_at(step: int) -> float:
    return MOMENTUM_START + (MOMENTUM - MOMENTUM_START) * min(1.0, step / MOMENTUM_RAMP)


# --- training ----------------------------------------------------------------------------------------------


Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def warm_up(model: nn.Module, optimiser: Optimiser, loss_of: Loss) -> None:
    """Compile, allocate and load caches before the clock starts, on made-up tokens and at a rate of zero."""
    shape = (BATCH_SIZE, prepare.SEQUENCE_LEN)
    tokens = torch.arange(math.prod(shape), device=prepare.DEVICE).view(shape) % prepare.VOCAB_SIZE
    targets = tokens.clone()  # one tensor for both would be compiled for that case alone
    for _ in range(2):
        for _ in range(min(2, ACCUMULATION)):
            loss_of(model, tokens, targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step(rate=0.0, momentum=0.0, decay=0.0)
    optimiser.forget()


def train(model: nn.Module, optimiser: Optimiser, loss_of: Loss) -> None:
    """Train until the budget is spent; exit with a message if the loss is lost."""
    limit = LOSS_LIMIT * math.log(prepare.VOCAB_SIZE)
    losses: list[Tensor] = []
    step = 0
    for inputs, targets in prepare.batches(BATCH_SIZE):
        loss = loss_of(model, inputs, targets) / ACCUMULATION
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        if len(losses) < ACCUMULATION:
            continue
        progress = prepare.progress()
        optimiser.step(rate_at(progress), momentum_at(step), WEIGHT_DECAY * (1 - progress))
        mean = float(sum(losses))
        if not mean <= limit:  # so that NaN fails too
            sys.exit(f"training failed: the loss is {mean:.3g} nats at step {step}, the limit {limit:.3g}")
        prepare.report(loss=mean)
        losses.clear()
        step += 1


def main() -> None:
    torch.set_float32_matmul_precision("high")  # matters on CUDA only: TF32 where bfloat16 is not used
    prepare.turn()
    model = build_model()
    print(f"attention: {attention_used()}")
    optimiser = Optimiser(model)
    loss_of = torch.compile(cross_entropy, dynamic=False) if prepare.DEVICE.type == "cuda" else cross_entropy
    warm_up(model, optimiser, loss_of)
    gc.collect()
    gc.disable()  # nothing here makes cycles, and a collection in mid-training costs steps
    train(model, optimiser, loss_of)
    prepare.submit(model)


if __name__ == "__main__":
    main()
