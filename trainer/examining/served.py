"""The model server: the confined process in which a candidate's model answers the examiner.

Run as a script by `server.py`, in the folder of the submission. Everything here can be read and changed by
the candidate, whose code runs in this process; what must not be trusted is checked at the other end.
"""

import importlib
import json
import math
import mmap
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

ASK = struct.Struct("<qq")
ANSWER = struct.Struct("<q")

# Where _share_cuda_ puts bytes: the handles of the memory, of its reference counter and of an event.
HANDLES = (1, 4, 6)


def main(setup: dict[str, Any]) -> None:
    """Build the model, say that it is ready, answer until the examiner hangs up."""
    device, shape, logits_at = setup["device"], setup["shape"], setup["logits"]
    tokens = _mapped(setup["tokens"], torch.int64, shape[:2])
    logits = _mapped(logits_at, torch.float32, shape) if device == "cpu" else _ipc(logits_at, shape)
    model = _model(device)
    with socket.socket(fileno=setup["channel"]) as examiner, torch.inference_mode():
        examiner.sendall(ANSWER.pack(0))
        while request := examiner.recv(ASK.size):
            number, rows = ASK.unpack(request)
            answer = model(tokens[:rows].to(device))
            if answer.shape != logits[:rows].shape:
                raise ValueError(f"logits are {list(answer.shape)}, not {list(logits[:rows].shape)}")
            logits[:rows].copy_(answer)
            if device == "cuda":
                torch.cuda.synchronize()
            examiner.sendall(ANSWER.pack(number))


def _model(device: str) -> torch.nn.Module:
    sys.path.insert(0, str(Path.cwd()))
    model: torch.nn.Module = importlib.import_module("train").build_model()
    fill(model, load_file("weights.safetensors"))
    return model.to(device).eval()


def fill(model: torch.nn.Module, saved: dict[str, torch.Tensor]) -> None:
    """Load what a submission saved: a tensor for every place, tied places sharing one, and no other.

    Names are as a submission has them, without what torch.compile adds to those of a part it has compiled.
    Raises ValueError for a tensor too many or too few, RuntimeError for one of another shape.
    """
    state = model.state_dict()
    places = {name.replace("_orig_mod.", ""): name for name in state}
    if unknown := sorted(saved.keys() - places.keys()):
        raise ValueError(f"the weights hold {unknown[0]}, which the model has not")
    model.load_state_dict({places[name]: tensor for name, tensor in saved.items()}, strict=False)
    filled = {state[places[name]].data_ptr() for name in saved}
    if missing := [name for name, place in places.items() if state[place].data_ptr() not in filled]:
        raise ValueError(f"the weights lack {missing[0]}")


def _mapped(fd: int, dtype: torch.dtype, shape: list[int]) -> torch.Tensor:
    memory = mmap.mmap(fd, math.prod(shape) * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def _ipc(handle: list[Any], shape: list[int]) -> torch.Tensor:
    """The examiner's CUDA buffer, seen from this process."""
    parts = [bytes.fromhex(part) if i in HANDLES else part for i, part in enumerate(handle)]
    torch.cuda.init()  # type: ignore[no-untyped-call]
    storage = torch.UntypedStorage._new_shared_cuda(*parts)
    return torch.tensor([], dtype=torch.float32, device=storage.device).set_(storage).view(shape)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
