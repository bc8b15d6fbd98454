"""Genomes that cannot be trained, each a small edit of the first one, as hasty minds make them."""
# ruff: noqa: E501

from good_genomes import ATTEND, BLOCK, BUILD, LOGITS, MLP, RELU, WINDOW, Edits

MAIN = 'if __name__ == "__main__":\n    main()'
TORCH = "import torch\n"
FORWARD = "def forward(self, tokens: Tensor) -> Tensor:\n        # Mixed"
ROTATED = "queries, keys = norm(rotate(qkv[:, :, :2], table)).type_as(qkv).unbind(2)"

# Their source says it.
UNREADABLE: dict[str, Edits] = {
    "a parenthesis left open": {LOGITS: "return SOFTCAP * torch.tanh(logits / SOFTCAP"},
    "a line out of place": {"        self.mlp = MLP()": "      self.mlp = MLP()"},
    "a return outside of a function": {"def norm(": "return\n\n\ndef norm("},
    "a name spelt in two ways": {LOGITS: "return SOFT_CAP * torch.tanh(logits / SOFTCAP)"},
    "a constant removed": {"MOMENTUM_RAMP = 50": "RAMP = 50"},
    "a local read before it is set": {
        "    return FINAL_LR +": "    FINAL_LR = max(FINAL_LR, 0.01)\n    return FINAL_LR +"
    },
    "a module that is not there": {TORCH: "import apex\n" + TORCH},
    "a module that main wants": {"    model = build_model()\n": "    import wandb_core\n    model = build_model()\n"},
    "no build_model": {"def build_model(": "def make_model(", "model = build_model()": "model = make_model()"},
    "no main": {"def main()": "def run()", MAIN: 'if __name__ == "__main__":\n    run()'},
    "no guard": {MAIN: "main()"},
    "a function prepare does not have": {"prepare.submit(model)": "prepare.evaluate(model)\n    prepare.submit(model)"},
}  # fmt: skip

# They must be run to see it.
UNRUNNABLE: dict[str, Edits] = {
    "a matrix of the wrong shape": {MLP: MLP.replace("MLP_RATIO * WIDTH", "2 * WIDTH")},
    "heads that do not divide the width": {
        "HEAD_DIM = 32": "HEAD_DIM = 24",
        "WIDTH = -(-DEPTH * ASPECT_RATIO // HEAD_DIM) * HEAD_DIM": "WIDTH = 64",
    },
    "a head of odd size": {"HEAD_DIM = 32": "HEAD_DIM = 33"},
    "a vocabulary of its own": {"torch.empty(prepare.VOCAB_SIZE, WIDTH)": "torch.empty(50_304, WIDTH)"},
    "tokens that are no integers": {"self.embedding(tokens)": "self.embedding(tokens.float())"},
    "two answers instead of one": {LOGITS: LOGITS + ", x"},
    "the stream instead of logits": {LOGITS: "return x"},
    "a model that wants targets": {FORWARD: FORWARD.replace("tokens: Tensor", "tokens: Tensor, targets: Tensor")},
    "a build that wants an argument": {"def build_model()": "def build_model(depth: int)"},
    "a build that returns nothing": {BUILD: BUILD.replace("return GPT()", "model = GPT()")},
    "a part that was never made": {BLOCK: BLOCK.replace("self.long", "self.longer")},
    "fewer keys than queries, unsaid": {"ASPECT_RATIO = 16": "ASPECT_RATIO = 32", WINDOW: "keys, values = keys[:, :, ::2], values[:, :, ::2]\n        " + WINDOW},
    "a mask of another length": {ATTEND: ATTEND.replace("mask,", "self.mask[:7, :7],").replace("mask is None", "False")},
    "positions where rows should be": {"norm(self.embedding(tokens))": "norm(self.embedding(tokens.mT))"},
    "half a precision": {RELU: RELU.replace("F.linear(x, self.up)", "F.linear(x.bfloat16(), self.up)")},
    "a value changed that a gradient needs": {RELU: "F.linear(F.linear(x, self.up).sigmoid().mul_(2).exp().mul_(2), self.down)"},
    "a model cut off from its loss": {LOGITS: LOGITS + ".detach()"},
    "tokens instead of logits": {LOGITS: "return logits.argmax(-1)"},
    "a tensor joined with one that is none": {ROTATED: ROTATED + "\n        keys = torch.cat((keys, self.gate), 1)"},
    "four parts of three": {"view(*x.shape[:2], 3, -1, HEAD_DIM)": "view(*x.shape[:2], 4, -1, HEAD_DIM)"},
    "a layer too many": {"for layer, block in enumerate(self.blocks):": "for layer in range(DEPTH + 1):\n            block = self.blocks[layer]"},
    "an embedding too small for its tokens": {"self.embedding = nn.Embedding(prepare.VOCAB_SIZE, WIDTH)": "self.embedding = nn.Embedding(prepare.VOCAB_SIZE // 2, WIDTH)"},
    "an assertion at import": {"Attend = Callable": "assert WIDTH % 48 == 0, 'the width must be a multiple of 48'\nAttend = Callable"},
    "an import of what torch does not have": {"import torch.nn.functional as F": "import torch.nn.functional as F\nfrom torch.optim import Muon2"},
    "training when it is imported": {MAIN: "model = build_model()\nfor inputs, targets in prepare.batches(BATCH_SIZE):\n    break\n\n\n" + MAIN},
    "submitting when it is imported": {MAIN: "prepare.submit(build_model())\n\n\n" + MAIN},
    "rows three times too many": {"BATCH_SIZE = 16": "BATCH_SIZE = 2048"},
    "a width three times too large": {"ASPECT_RATIO = 16": "ASPECT_RATIO = 700"},
    "hidden channels by the thousand": {"MLP_RATIO = 4": "MLP_RATIO = 1000"},
}  # fmt: skip

BROKEN = UNREADABLE | UNRUNNABLE
