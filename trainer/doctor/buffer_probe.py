"""The child that stands in for an examiner: `python -P -m trainer.doctor.buffer_probe DEVICE`, in a folder.

It asks a confined model for logits, through a buffer on the device, and ends with an error if they are not
what the model gave. The model returns a row of its table for each token.
"""

import sys
from pathlib import Path

from trainer.walls.process import hide

GENOME = """
import torch
def build_model(): return torch.nn.Embedding(8, 8)
"""


def main(device: str) -> None:
    hide()  # as an examiner does, into whom its models may not look
    import torch
    from safetensors.torch import save_file

    from trainer.examining.server import serve

    submission = Path("submission")
    submission.mkdir()
    (submission / "train.py").write_text(GENOME)
    save_file({"weight": torch.eye(8)}, submission / "weights.safetensors")
    tokens = torch.arange(8).view(2, 4)
    with serve(submission.resolve(), device, (2, 4, 8)) as server:
        if not torch.equal(server.logits(tokens).cpu(), torch.eye(8)[tokens]):
            sys.exit("what came through the buffer is not what the model gave")


if __name__ == "__main__":
    main(sys.argv[1])
