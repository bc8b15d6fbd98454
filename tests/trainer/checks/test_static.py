"""Reading a genome finds what must fail, and nothing that some branch of it may do without."""

import pytest
from broken_genomes import UNREADABLE
from good_genomes import FIRST, GOOD, ROOT, made
from hypothesis import given
from hypothesis import strategies as st

from trainer.checks import rows, static

OWN = static.read(FIRST)
PREPARE = static.read((ROOT / "prepare.py").read_text())
BARE = static.read("")


def why(text: str) -> str | None:
    """Of a genome for a task without a contract."""
    return static.problem(static.read(text), BARE, PREPARE)


@pytest.mark.parametrize("name", UNREADABLE)
def test_broken_sources_are_found_without_running_them(name: str) -> None:
    try:
        assert static.problem(static.read(made(UNREADABLE[name])), OWN, PREPARE)
    except SyntaxError as error:
        assert error.lineno


@pytest.mark.parametrize("name", GOOD)
def test_good_sources_are_not_held_up(name: str) -> None:
    assert static.problem(static.read(made(GOOD[name])), OWN, PREPARE) is None


@pytest.mark.parametrize(
    "text",
    [
        "def f(x: 'Missing') -> 'Missing': ...",
        "def f():\n    x: Missing = 1",
        "from __future__ import annotations\ndef f(x: Missing): ...",
        "try:\n    x = missing\nexcept NameError:\n    x = 1",
        "globals()['x'] = 1\nprint(x)",
        "x = 0\ndef f():\n    for i in range(2):\n        if i: print(x)\n        x = i",
        "from torch import *\nzeros(1)",
        "__all__ = ['missing']",
        "print(__file__, __name__, __doc__)",
    ],
)
def test_a_name_that_may_be_there_is_no_problem(text: str) -> None:
    assert why(text) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\nprint(y)", 2),
        ("def f():\n    return missing", 2),
        ("def f(x: Missing): ...", 1),
        ("x = 0\ndef f():\n    print(x)\n    x = 1", 3),
        ("def f():\n    g = lambda: missing\n    return g", 2),
    ],
)
def test_a_name_that_is_not_there_is_named_with_its_line(text: str, line: int) -> None:
    assert (why(text) or "").startswith(f"line {line}: ")


@pytest.mark.parametrize(
    "text",
    [
        "import prepare, torch, train, json, msgspec",
        "try:\n    import flash_attn\nexcept ImportError:\n    pass",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import flash_attn",
        "import sys\nif sys.platform == 'plan9':\n    import flash_attn",
        "def f():\n    import flash_attn",
        "import torch.nn.functional as F",
    ],
)
def test_a_module_that_may_be_there_or_not_needed_is_no_problem(text: str) -> None:
    assert why(text) is None


@pytest.mark.parametrize(
    "text",
    ["import flash_attn", "from flash_attn.layers import x", "import population", "from . import prepare",
     "import scheduler", "def main():\n    import flash_attn"],
)  # fmt: skip
def test_a_module_no_trial_can_have_is_a_problem(text: str) -> None:
    assert why(text)


def test_what_prepare_lacks_may_be_asked_for_with_care() -> None:
    assert why("import prepare\nprepare.evaluate(1)")
    assert why("import prepare\nprepare.batches(prepare.SEQUENCE_LEN)") is None
    assert why("import prepare\ntry:\n    prepare.evaluate(1)\nexcept AttributeError:\n    pass") is None
    assert why("import prepare\nif hasattr(prepare, 'evaluate'):\n    prepare.evaluate(1)") is None


@pytest.mark.parametrize("missing", ["build_model", "main"])
def test_a_candidate_must_define_what_the_first_genome_does(missing: str) -> None:
    found = static.problem(static.read(FIRST.replace(missing, f"{missing}_")), OWN, PREPARE)
    assert found and missing in found


def test_a_task_asks_for_no_more_than_its_own_genome_gives() -> None:
    own = static.read("def main(): ...")
    assert static.contract(own) == ["main"]
    assert static.problem(static.read("main = print"), own, PREPARE) is None
    assert static.problem(static.read("if 1:\n    def main(): ..."), own, PREPARE) is None


@given(st.text())
def test_any_text_is_a_module_or_a_syntax_error(text: str) -> None:
    try:
        static.problem(static.read(text), OWN, PREPARE)
    except SyntaxError as error:
        assert error.msg


# --- rows --------------------------------------------------------------------------------------------------


def asked_for(body: str) -> list[str]:
    return rows.asked_for(static.read(f"import prepare\ndef train(model):\n    {body}").tree)


@pytest.mark.parametrize(
    ("body", "expressions"),
    [
        ("for x, y in prepare.batches(2 * ROWS): model(x)", ["2 * ROWS"]),
        ("for x, y in prepare.batches(batch_size=8): model(x[:, :-1]).view(-1, 512)", ["8"]),
        ("for step, pair in enumerate(prepare.batches(8)): model(pair[0])", ["8"]),
        ("stream = prepare.batches(8); x, y = next(stream); model(x)", ["8"]),
        ("for x, y in prepare.batches(8): model(x[:4])", ["1"]),
        ("for x, y in prepare.batches(8): [model(part) for part in x.chunk(4)]", ["1"]),
        ("for pair in prepare.batches(8): x, y = pair; [model(part) for part in x.view(4, 2, -1)]", ["1"]),
        ("stream = prepare.batches(8); x, y = next(stream); [model(p) for p in torch.split(x, 2)]", ["1"]),
        ("return 1", []),
    ],
)
def test_rows_of_a_pass_are_those_asked_for_unless_they_are_cut_up(body: str, expressions: list[str]) -> None:
    assert asked_for(body) == expressions


def test_rows_cut_up_by_another_function_are_cut_up_too() -> None:
    cutting = "def accumulate(model, tokens):\n    for part in tokens.split(4): model(part)\n"
    loop = "def train(model):\n    for x, y in prepare.batches(8): accumulate(model, x)\n"
    assert rows.asked_for(static.read(f"import prepare\n{cutting}{loop}").tree) == ["1"]
    assert rows.asked_for(OWN.tree) == ["BATCH_SIZE"]


def test_how_training_calls_its_model_is_told_from_how_it_is_examined() -> None:
    assert rows.calls_model(OWN.tree)
    assert not rows.calls_model(static.read("def train(model, x, y): model(x, y)").tree)
    assert not rows.calls_model(static.read("def train(model, x): model.loss(x)").tree)
