"""Genomes that can be trained, each a small edit of the first one. Nothing may refuse them."""
# ruff: noqa: E501

from pathlib import Path

from population import genome
from trainer.hardware import Machine, sizing

ROOT = Path(__file__).resolve().parents[2]
FIRST = (ROOT / "trainer" / "train.py").read_text()
SMALL = genome.rewrite(FIRST, sizing("cpu", Machine("cpu", "", 0, cores=2, memory_mib=8_000)))

Edits = dict[str, str]  # text that is in the genome once, and what takes its place

RELU = "F.linear(F.linear(x, self.up).relu().square(), self.down)"
MLP = "self.down = nn.Parameter(torch.empty(WIDTH, MLP_RATIO * WIDTH))\n"
LOSS = "F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())"
LOGITS = "return SOFTCAP * torch.tanh(logits / SOFTCAP)"
STACK = "        self.reset_parameters()\n"
ATTEND = "attended = F.scaled_dot_product_attention(queries, keys, values, mask, is_causal=mask is None)"
LOOP = "        loss = loss_of(model, inputs, targets) / ACCUMULATION\n        loss.backward()"
GROUPS = '        "residual_scale": {"lr": SCALAR_LR / 100},\n'
BIAS = GROUPS + '        "bias": {"lr": SCALAR_LR / 100},\n'
BUILD = '    with ambient if ambient.type == "meta" else prepare.DEVICE:\n        return GPT()'
BLOCK = "x = block(x, tokens, table, self.long if long else self.short)"
WINDOW = "return F.linear(window(queries, keys, values)"

GOOD: dict[str, Edits] = {
    "as it is": {},
    "another activation": {RELU: "F.linear(F.gelu(F.linear(x, self.up)), self.down)"},
    "a gated MLP": {
        MLP: MLP + "        self.side = nn.Parameter(torch.empty(MLP_RATIO * WIDTH, WIDTH))\n",
        RELU: "F.linear(F.silu(F.linear(x, self.side)) * F.linear(x, self.up), self.down)",
    },
    "shared keys and values": {
        WINDOW: "keys, values = keys[:, :, ::2], values[:, :, ::2]\n        " + WINDOW,
        "is_causal=mask is None)": "is_causal=mask is None, enable_gqa=True)",
    },
    "deeper and narrower": {"DEPTH = 4": "DEPTH = 7", "ASPECT_RATIO = 16": "ASPECT_RATIO = 9"},
    "a convolution over the past": {
        GROUPS: BIAS,
        STACK: "        self.local = nn.Conv1d(WIDTH, WIDTH, 3, groups=WIDTH)\n" + STACK,
        "        embedded = x\n": "        x = x + self.local(F.pad(x.mT, (2, 0))).mT\n        embedded = x\n",
    },
    "a bias of the logits": {
        GROUPS: BIAS,
        STACK: STACK + "        self.bias = nn.Parameter(torch.zeros(prepare.VOCAB_SIZE))\n",
        LOGITS: "return SOFTCAP * torch.tanh(logits / SOFTCAP) + self.bias",
    },
    "a learned bias of the attention": {
        GROUPS: BIAS,
        "        self.kernel =": "        self.bias = nn.Parameter(torch.zeros(length))\n        self.kernel =",
        "mask = self.mask[:length, :length] if self.length < length else None": (
            "near = (positions := torch.arange(length, device=values.device))[:, None] - positions\n"
            "        bias = self.bias[near.clamp(0, self.length - 1)]\n"
            "        mask = bias.masked_fill(~self.mask[:length, :length], float('-inf'))"
        ),
    },
    "attention by hand": {
        ATTEND: (
            "scores = queries @ keys.mT / math.sqrt(HEAD_DIM)\n"
            "        seen = self.mask[:length, :length]\n"
            "        attended = scores.masked_fill(~seen, float('-inf')).softmax(-1) @ values"
        )
    },
    "one optimiser for all": {
        "self.muons = [Muon(same_shape) for same_shape in matrices]": "self.muons = []",
        "        self.adamw = torch": (
            "        groups[0]['params'] += [one for same_shape in matrices for one in same_shape]\n"
            "        self.adamw = torch"
        ),
    },
    "a cosine for a schedule": {
        "min(1.0, (1 - progress) / WARMDOWN)": "0.5 * (1 + math.cos(math.pi * progress))"
    },
    "more of the standard library": {
        "import sys\n": "import sys\nimport itertools, random, collections.abc as abc\n",
        "    model = build_model()\n": "    model = build_model()\n    random.seed(next(itertools.count()))\n",
    },
    "a module that may be missing": {
        "import prepare\n": "import prepare\n\ntry:\n    import flash_attn\nexcept ImportError:\n    flash_attn = None\n"
    },
    "a module that only CUDA needs": {
        "    blocks = create_block_mask(": "    import flash_attn\n\n    blocks = create_block_mask("
    },
    "tied embeddings": {
        STACK: "        self.unembedding = self.embedding.weight\n" + STACK,
        '        "embedding.weight": {"lr": EMBEDDING_LR * rate},\n': "",
    },
    "a number read from a tensor": {
        "rates = ROPE_BASE **": "base = torch.tensor(float(ROPE_BASE)).item()\n    rates = base **"
    },
    "an array of numpy": {
        "import torch\n": "import numpy as np\nimport torch\n",
        "        self.input_scale.fill_(INPUT_SCALE)": (
            "        self.input_scale.copy_(torch.as_tensor(np.linspace(0, INPUT_SCALE, DEPTH)))"
        ),
    },
    "a model compiled as it is built": {BUILD: BUILD.replace("GPT()", "torch.compile(GPT(), dynamic=False)")},
    "a shape that depends on data": {
        RELU: (
            "self.sparse(x)\n\n    def sparse(self, x: Tensor) -> Tensor:\n"
            "        hidden = F.linear(x, self.up).relu().square()\n"
            "        used = hidden.detach().abs().sum((0, 1)).nonzero()[:, 0]\n"
            "        return F.linear(hidden[..., used], self.down[:, used])"
        )
    },
    "a layer computed again for its gradient": {
        "import torch.nn.functional as F\n": (
            "import torch.nn.functional as F\nfrom torch.utils.checkpoint import checkpoint\n"
        ),
        BLOCK: "x = checkpoint(block, x, tokens, table, self.long if long else self.short, use_reentrant=False)",
    },
    "another answer when it trains": {
        LOGITS: (
            "logits = SOFTCAP * torch.tanh(logits / SOFTCAP)\n"
            "        return (logits, logits.logsumexp(-1).square().mean()) if self.training else logits"
        ),
        LOSS: (
            "_loss(*model(inputs), targets)\n\n\n"
            "def _loss(logits: Tensor, extra: Tensor, targets: Tensor) -> Tensor:\n"
            "    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + 1e-4 * extra"
        ),
    },
    "a loss inside the model": {
        "def forward(self, tokens: Tensor) -> Tensor:\n        # Mixed": (
            "def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:\n"
            "        if self.training:\n"
            "            assert targets is not None\n"
            "            return F.cross_entropy(self.logits(tokens).flatten(0, 1), targets.flatten())\n"
            "        # Mixed"
        ),
        LOSS: "model(inputs, targets)",
    },
    "an exam without gradients": {
        "    def forward(self, tokens: Tensor) -> Tensor:\n        # Mixed": (
            "    @torch.no_grad()\n    def forward(self, tokens: Tensor) -> Tensor:\n        # Mixed"
        ),
        LOSS: "F.cross_entropy(model.logits(inputs).flatten(0, 1), targets.flatten())",
    },
    "a device of its own choice": {
        "# Model\nDEPTH": "DEVICE = prepare.DEVICE\n# Model\nDEPTH",
        BUILD: "    return GPT().to(DEVICE)",
        "positions = torch.arange(prepare.SEQUENCE_LEN)": (
            "positions = torch.arange(prepare.SEQUENCE_LEN, device=DEVICE)"
        ),
    },
    "large batches cut into passes": {
        "BATCH_SIZE = 16": "BATCH_SIZE = 100_000",
        LOOP: (
            "        for part, wanted in zip(inputs.split(8), targets.split(8), strict=True):\n"
            "            loss = loss_of(model, part, wanted) / ACCUMULATION\n"
            "            loss.backward()"
        ),
    },
    "annotations that nobody evaluates": {
        "import functools\n": "from __future__ import annotations\n\nimport functools\n",
        "def rate_at(progress: float)": "def rate_at(progress: Fraction)",
    },
    "a recurrent layer": {
        STACK: "        self.memory = nn.GRU(WIDTH, WIDTH, bias=False, batch_first=True)\n" + STACK,
        "        embedded = x\n": "        embedded = x\n        x = x + self.memory(x)[0]\n",
    },
    "dropout and layer norms": {
        GROUPS: GROUPS + '        "scale.weight": {"lr": 0.01},\n        "scale.bias": {"lr": 0.01},\n',
        MLP: MLP + "        self.scale, self.drop = nn.LayerNorm(WIDTH), nn.Dropout(0.1)\n",
        RELU: "self.drop(F.linear(F.linear(self.scale(x), self.up).relu().square(), self.down))",
    },
}


def made(edits: Edits, text: str = SMALL) -> str:
    """A genome with these edits, each of which must fit exactly once."""
    for old, new in edits.items():
        assert text.count(old) == 1, f"{text.count(old)} times in the genome: {old}"
        text = text.replace(old, new)
    return text
