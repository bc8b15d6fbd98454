"""The rehearsal: the confined process in which a genome builds its model and runs it once, without memory.

Run as a script by `trainer.preflight`, in a folder with train.py and prepare.py. Everything here can be read
and changed by the candidate, whose code runs in this process: what it says counts against itself only. It
sends a line of JSON when it enters a phase, and one for what came of it: `refused`, with a reason, or
`passed`, with what one pass takes.

A pass of full size runs on the meta device, which has shapes and no values and therefore fails where real
tensors would not. So a failure counts only on real tensors, few rows of them, on the CPU. Where trials use
the CPU, it counts as it is. Where they use CUDA, the meta device must have failed alike, at the same line,
and not in a way that CUDA, mixed precision or compilation would mend; what works on meta is taken to work.
"""

import contextlib
import importlib
import json
import os
import re
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

MB = 2**20
# In an error's words, and for a compiler in the files it came through.
OF_THE_CARD = re.compile(
    r"cuda|gpu|nvidia|device|dtype|scalar type|bfloat16|\bHalf\b|float16|not implemented|in-?place", re.I
)
OF_MEMORY = re.compile(r"MemoryError|allocate memory|out of memory", re.I)
FEW = 2  # rows of real tensors: one would be broadcast to whatever it does not fit
COMPILERS = ("/torch/_dynamo/", "/torch/_inductor/", "/triton/", "/flex_attention.py")

Tell: TypeAlias = Callable[[dict[str, object]], None]
Stage: TypeAlias = Callable[[str, int], object]  # of a device and a number of rows
Needs: TypeAlias = dict[str, float]


class Wrong(Exception):
    """What the exam would refuse although it runs."""


class Attempt:
    """Runs a candidate's code and keeps what it raised, whatever that is, SystemExit too."""

    error: BaseException | None = None
    text = ""  # the line its traceback ends with
    line: int | None = None  # of train.py, the last in the traceback
    code = ""  # what stands there
    compiled = False  # whether it came out of a compiler

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            frames = traceback.extract_tb(trace)
            own = [frame for frame in frames if Path(frame.filename).name == "train.py"]
            if own:
                self.line, self.code = own[-1].lineno, own[-1].line or ""
            self.compiled = any(part in frame.filename for frame in frames for part in COMPILERS)
            said = "".join(traceback.format_exception_only(error)).strip().splitlines()
            self.text = said[-1] if isinstance(error, SyntaxError) else said[0]
            self.error = error
        return True

    def like(self, other: "Attempt") -> bool:
        return type(self.error) is type(other.error) and self.line == other.line

    def may_be_of_the_card(self) -> bool:
        words = self.code if isinstance(self.error, AssertionError) else ""
        return self.compiled or bool(OF_THE_CARD.search(f"{self.text} {words}"))

    def is_of_memory(self) -> bool:
        return bool(OF_MEMORY.search(self.text))

    def reason(self, doing: str) -> str:
        if isinstance(self.error, Wrong):
            return str(self.error)
        where = f" at line {self.line} of train.py (`{self.code[:80]}`)" if self.line else ""
        return f"{doing} fails{where}: {self.text}"


class Rehearsal:
    """One genome: imported, examined, and trained for a pass."""

    def __init__(self, setup: dict[str, Any], tell: Tell) -> None:
        self.setup, self.tell = setup, tell
        self.on_card = setup["device"] == "cuda"
        self.prepare = importlib.import_module("prepare")
        self.device = getattr(self.prepare, "DEVICE", None)
        self.length = getattr(self.prepare, "SEQUENCE_LEN", None)
        self.vocabulary = getattr(self.prepare, "VOCAB_SIZE", None)

    def run(self) -> None:
        self.tell({"phase": "import"})
        with Attempt() as imported, _untrained(self.prepare, self.tell):
            self.train = importlib.import_module("train")
        if imported.error is not None:
            if not (self.on_card and imported.may_be_of_the_card()):
                self.tell({"refused": imported.reason("importing train.py")})
            return
        self.rows = _rows(self.train, self.setup["rows"])
        self.tell({"phase": "meta"})
        stages: dict[str, Stage] = {
            "build_model()": self.built,
            "model(tokens)": self.examined,
            "a pass of training": self.trained,
        }
        unreal, failed = self.attempted(stages, "meta", self.rows)
        if self.on_card:
            if failed is None or unreal.may_be_of_the_card():
                return
            stages = {failed: stages[failed]}
        self.tell({"phase": "real"})
        real, failed = self.attempted(stages, "cpu", min(self.rows, FEW))
        certain = not self.on_card or (real.like(unreal) and not real.may_be_of_the_card())
        counts = failed != "a pass of training" or self.setup["calls_model"]
        if failed and certain and counts and not real.is_of_memory():
            self.tell({"refused": real.reason(failed)})

    def attempted(self, stages: dict[str, Stage], device: str, rows: int) -> tuple[Attempt, str | None]:
        """The first attempt that failed, and at what."""
        for doing, stage in stages.items():
            with Attempt() as attempt:
                stage(device, rows)
            if attempt.error is not None:
                return attempt, doing
        return Attempt(), None

    def built(self, device: str, _rows: int = 0) -> nn.Module:
        if self.device is not None:  # meta too, for what is told to be on it
            vars(self.prepare)["DEVICE"] = self.device if device == "cpu" else torch.device(device)
        with torch.device(device):
            model = self.train.build_model()
        if not isinstance(model, nn.Module):
            raise Wrong(f"build_model() returns {type(model).__name__}; it must return the torch.nn.Module")
        return model.to(device)

    def examined(self, device: str, rows: int) -> None:
        """Ask the model for logits as the exam does, if prepare.py says what tokens there are."""
        if not (self.length and self.vocabulary):
            return
        model, tokens = self.built(device).eval(), self.tokens(device, rows)
        with torch.device(device), torch.no_grad():
            answer = model(tokens)
        if not self.is_logits(answer, rows):
            raise Wrong(
                f"model(tokens) gives {_form(answer)}; it must give logits [rows, T, prepare.VOCAB_SIZE] "
                f"of a floating dtype, here {[rows, self.length, self.vocabulary]}"
            )

    def trained(self, device: str, rows: int) -> None:
        """One pass of training by the cross-entropy of `model(tokens)`; on meta, tells what it takes."""
        if not (self.length and self.vocabulary):
            return
        model, tokens = self.built(device).train(), self.tokens(device, rows)
        saved = _Saved(model)
        with torch.device(device), saved.counting() if device == "meta" else contextlib.nullcontext():
            logits = model(tokens)
            if not self.is_logits(logits, rows):  # training asks it for something else
                return
            loss = F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
        if not loss.requires_grad:
            raise Wrong("the logits of model(tokens) carry no gradient: nothing would be trained")
        loss.backward()  # type: ignore[no-untyped-call]
        if device == "meta":
            self.tell({"passed": saved.needs() | {"logits_mb": 4 * logits.numel() / MB, "rows": rows}})

    def tokens(self, device: str, rows: int) -> Tensor:
        """int64 [rows, T]: as many tokens of the vocabulary as there is room for."""
        length, vocabulary = self.length or 1, self.vocabulary or 1
        from_the_last = vocabulary - 1 - torch.arange(rows * length, device=device) % vocabulary
        return from_the_last.view(rows, length)

    def is_logits(self, answer: object, rows: int) -> bool:
        wanted = (rows, self.length, self.vocabulary)
        return isinstance(answer, Tensor) and answer.shape == wanted and answer.is_floating_point()


class FusedAttention(TorchFunctionMode):
    """On meta, attention keeps what the kernels of real devices keep, and not the matrix of all scores."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.scaled_dot_product_attention and any(
            isinstance(arg, Tensor) and arg.is_meta for arg in args
        ):
            with torch.no_grad():
                attended = func(*args, **(kwargs or {}))
            named = (kwargs or {}).values()
            inputs = [value for value in (*args, *named) if isinstance(value, Tensor)]
            return _Fused.apply(attended, *inputs)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


class _Fused(torch.autograd.Function):
    """Has the shapes of attention and of its gradients; saves inputs and output."""

    @staticmethod
    def forward(ctx: Any, attended: Tensor, *inputs: Tensor) -> Tensor:
        result = torch.empty_like(attended)
        ctx.save_for_backward(result, *inputs)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        _, *inputs = ctx.saved_tensors
        return (None, *(torch.empty_like(x) if x.is_floating_point() else None for x in inputs))


class _Saved:
    """What a pass keeps for its gradients beside the model itself, each storage once."""

    def __init__(self, model: nn.Module) -> None:
        self.trained_mb = sum(4 * p.numel() for p in model.parameters() if p.requires_grad) / MB
        self.model = _storages([*model.parameters(), *model.buffers()])
        self.kept: dict[int, torch.UntypedStorage] = {}

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        with FusedAttention(), saved_tensors_hooks(self.keep, lambda tensor: tensor):
            yield

    def keep(self, tensor: Tensor) -> Tensor:
        self.kept |= _storages([tensor])
        return tensor

    def needs(self) -> Needs:
        passing = {place: storage for place, storage in self.kept.items() if place not in self.model}
        return {
            "model_mb": sum(storage.nbytes() for storage in self.model.values()) / MB,
            "trained_mb": self.trained_mb,
            "saved_mb": sum(storage.nbytes() for storage in passing.values()) / MB,
        }


def _storages(tensors: list[Tensor]) -> dict[int, torch.UntypedStorage]:
    """By an identity that holds as long as the storage does; on meta, all have the address 0."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage._cdata: storage for storage in storages}


@contextlib.contextmanager
def _untrained(prepare: ModuleType, tell: Tell) -> Iterator[None]:
    """While train.py is imported, prepare refuses to train."""

    def refuse(name: str) -> Callable[..., None]:
        def ends(*args: object, **kwargs: object) -> None:
            tell({"refused": f"importing train.py calls prepare.{name}; only main() may, once it is run"})
            os._exit(0)

        return ends

    names = {"batches", "submit"} & vars(prepare).keys()
    before = {name: vars(prepare)[name] for name in names}
    vars(prepare).update({name: refuse(name) for name in names})
    try:
        yield
    finally:
        vars(prepare).update(before)


def _rows(train: ModuleType, expressions: list[str]) -> int:
    """The most rows of a pass, of what can be evaluated; 1 if nothing can, which underrates what it takes."""
    found: list[int] = []
    for expression in expressions:
        with Attempt():
            found.append(int(eval(expression, vars(train))))
    return max(1, *found, 1)


def _form(answer: object) -> str:
    if isinstance(answer, Tensor):
        return f"{str(answer.dtype).removeprefix('torch.')} {list(answer.shape)}"
    return f"a {type(answer).__name__}"


def _teller(telemetry: int) -> Tell:
    return lambda event: (os.write(telemetry, json.dumps(event).encode() + b"\n"), None)[1]


def main(setup: dict[str, Any]) -> None:
    tell = _teller(int(os.environ.pop("LINEAGES_TELEMETRY")))  # so that prepare has none
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["train.py"]
    rehearsal = Rehearsal(setup, tell)
    if setup["cpu_s"]:  # from here on; a trial may keep a process from its time for long
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime + setup["cpu_s"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))
    rehearsal.run()
    os._exit(0)  # whatever the candidate's code has left to run


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
