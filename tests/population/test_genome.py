"""A genome is read, edited and compared as text; nothing in it is ever run."""

import ast
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.genome import (
    Choices,
    Fixed,
    Interval,
    Variants,
    complexity,
    constants,
    holds,
    knobs,
    normal_hash,
    only_seed_changed,
    parse_range,
    rewrite,
    skeleton,
)
from population.structure.expressions import Unknown, evaluate, literal
from trainer.syntax import parse

GENOME = '''"""A small genome: ü."""
import torch

DEPTH = 8  # layers; 1 to 16
ASPECT: int = 64  # width over depth; 32 to 96, step 8
WIDTH = DEPTH * ASPECT
LR = (4e-2)  # matrices (ß); 0.001 to 0.2, log
BATCH = 2 ** 17  # tokens a step; 2**14 to 2**20, power of two
WINDOW = "SSSL"  # one of "SSSL", "L"
CAUTIOUS = True; SEED = 42
BETAS = (0.9, 0.95)
DEVICE = torch.device("cpu")
assert WIDTH % 128 == 0, "heads"
assert DEVICE.type == "cpu"


def main():
    """Train."""
    torch.manual_seed(SEED)  # same start
    return [
        DEPTH,
    ]
'''

small = st.text(alphabet="abXY\"'\\é\n#;{}", max_size=8)
settings_of = st.fixed_dictionaries(
    {},
    optional={
        "DEPTH": st.integers(-(10**9), 10**9),
        "LR": st.floats(allow_nan=False, allow_infinity=False),
        "BATCH": st.integers(0, 80).map(lambda exponent: 2**exponent) | st.integers(-9, 9),
        "WINDOW": small,
        "CAUTIOUS": st.booleans(),
    },
)


def test_knobs_are_the_scalar_constants_that_depend_on_no_other() -> None:
    assert knobs(GENOME) == {
        "DEPTH": 8, "ASPECT": 64, "LR": 0.04, "BATCH": 2**17, "WINDOW": "SSSL", "CAUTIOUS": True, "SEED": 42,
    }  # fmt: skip


def test_a_constant_made_of_others_is_known_but_is_no_knob() -> None:
    width = constants(GENOME)["WIDTH"]
    assert (width.value, width.derived, width.knob) == (512, True, None)
    assert constants(GENOME)["BETAS"].value == (0.9, 0.95) and constants(GENOME)["BETAS"].knob is None


def test_a_name_that_is_bound_twice_is_no_constant() -> None:
    assert knobs("A = 1\nA = 2\nB = 3\nif B:\n    C = 4\nC = 5\nB += 1\nD = 6") == {"D": 6}
    assert knobs("A = 1\ndef f():\n    global A\n    A = 2\ndef g():\n    B = 3\nB = 4") == {"B": 4}


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("layers; 1 to 16", Interval(1, 16)),
        ("2**9 to 2**12, power of two", Interval(512, 4096, "power of two")),
        ("rate; a b; 1e-4 to 1, log", Interval(1e-4, 1, "log")),
        ("-1 to 1, step 0.25", Interval(-1, 1, step=0.25)),
        ('one of "S", "L", 3', Choices(("S", "L", 3))),
        ("the kernel needs it; fixed", Fixed()),
    ],
)
def test_a_comment_may_end_in_a_range(comment: str, expected: object) -> None:
    assert parse_range(comment) == expected


@pytest.mark.parametrize(
    "words",
    ["", "from here to there", "2 to 1", "0 to 1, log", "1 to 2 heads", "1 to 16; layers", "one of them",
     "1 to 2, step 0", "one of", "not fixed", "1 to x", "1 to 10**10**10"],
)  # fmt: skip
def test_anything_else_in_a_comment_is_words(words: str) -> None:
    assert parse_range(words) is None


@given(st.text() | st.text(alphabet="123 to2*,logeof'\";"))
def test_no_comment_can_break_the_reader(words: str) -> None:
    parse_range(words)


@given(settings_of)
def test_what_is_written_is_what_is_read_back(values: dict[str, bool | int | float | str]) -> None:
    assert knobs(rewrite(GENOME, values)) == {**knobs(GENOME), **values}


@given(settings_of)
def test_only_the_values_are_touched(values: dict[str, bool | int | float | str]) -> None:
    def around(text: str) -> list[bytes]:
        source, spans = text.encode(), [(c.start, c.end) for c in constants(text).values()]
        starts, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(source)]
        return [source[start:end] for start, end in zip(starts, ends, strict=True)]

    assert around(rewrite(GENOME, values)) == around(GENOME)


def test_a_genome_rewritten_with_its_own_values_is_the_same_text() -> None:
    assert rewrite(GENOME, knobs(GENOME)) == GENOME


def test_values_are_spelt_as_they_were() -> None:
    text = rewrite(GENOME, {"BATCH": 2**18, "WINDOW": "L", "LR": 1, "DEPTH": 3})
    assert (
        "BATCH = 2 ** 18 " in text
        and 'WINDOW = "L" ' in text
        and "LR = (1.0) " in text
        and "DEPTH = 3 " in text
    )
    assert "BATCH = 1000 " in rewrite(GENOME, {"BATCH": 1000})


def test_lines_may_end_as_they_like() -> None:
    text = "A = 1\r\nB = 2\rC = 3  # 1 to 5\n"
    assert rewrite(text, {"C": 4}) == "A = 1\r\nB = 2\rC = 4  # 1 to 5\n"


def test_only_knobs_can_be_set() -> None:
    with pytest.raises(KeyError):
        rewrite(GENOME, {"NOBODY": 1})
    for name, value in [("WIDTH", 1), ("BETAS", 1), ("LR", float("nan")), ("LR", float("inf"))]:
        with pytest.raises(ValueError):
            rewrite(GENOME, {name: value})


def test_assertions_are_held_against_derived_constants_too() -> None:
    assert holds(GENOME, {}) and holds(GENOME, {"DEPTH": 6}) and holds(parse(GENOME), {"DEPTH": 6})
    assert not holds(GENOME, {"DEPTH": 7})


def test_an_assertion_that_fails_to_evaluate_does_not_hold() -> None:
    text = "A = 2\nassert 8 % A == 0\nassert unknown(A)\n"
    assert holds(text, {"A": 4}) and not holds(text, {"A": 0}) and not holds(text, {"A": 3})


def test_comments_layout_and_docstrings_do_not_change_the_hash() -> None:
    other = (
        GENOME.replace("  # layers; 1 to 16", "").replace('"""Train."""\n    ', "").replace("4e-2", "0.040")
    )
    other = other.replace("return [\n        DEPTH,\n    ]", "return [DEPTH]  # all").replace(
        "2 ** 17", "131072"
    )
    assert other != GENOME and normal_hash(other) == normal_hash(GENOME)


@pytest.mark.parametrize(
    ("old", "new"), [("DEPTH = 8", "DEPTH = 8.0"), ("True", "1"), ("[\n", "(\n"), ("SEED)", "ASPECT)")]
)
def test_what_means_something_else_has_another_hash(old: str, new: str) -> None:
    changed = GENOME.replace(old, new).replace("    ]\n", "    )\n" if new == "(\n" else "    ]\n")
    assert changed != GENOME and normal_hash(changed) != normal_hash(GENOME)


@given(settings_of)
def test_other_values_are_another_genome_and_equal_values_the_same(
    values: dict[str, bool | int | float | str],
) -> None:
    same = all(repr(knobs(GENOME)[name]) == repr(value) for name, value in values.items())
    assert (normal_hash(rewrite(GENOME, values)) == normal_hash(GENOME)) == same


@given(settings_of)
def test_a_variant_is_hashed_as_if_it_were_written(values: dict[str, bool | int | float | str]) -> None:
    kinds = {name: type(value) for name, value in knobs(GENOME).items()}
    same = {name: value for name, value in values.items() if type(value) is kinds[name]}
    assert Variants(parse(GENOME)).normal_hash(same) == normal_hash(rewrite(GENOME, same))


@given(settings_of)
def test_the_skeleton_is_as_good_as_the_genome(values: dict[str, bool | int | float | str]) -> None:
    bones = skeleton(parse(GENOME))
    assert constants(GENOME, bones) == constants(GENOME)
    assert holds(bones, values) == holds(GENOME, values)
    assert rewrite(GENOME, values, bones) == rewrite(GENOME, values)


def test_a_module_of_words_alone_says_nothing() -> None:
    assert normal_hash('"""Words."""\n') == normal_hash("") == Variants(parse("# none")).normal_hash({})


@given(st.text() | st.text(alphabet="AB=12+*/%()-# \n'\"\\,:[]<"))
def test_any_text_is_read_or_refused_as_no_python(text: str) -> None:
    for reader in (knobs, normal_hash, complexity, lambda genome: holds(genome, {})):
        with contextlib.suppress(SyntaxError):
            reader(text)


@given(st.recursive(
    st.sampled_from(["0", "1", "7", "2.5", "1e300", "'a'", "True", "None", "10**9"]),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "**", "<", "==", "in", "and", "or", "if 1 else", ","]), inner)
    | st.builds("{}({}, {})".format, st.sampled_from(["max", "round", "int", "len", "float"]), inner, inner)
    | st.builds("(-{})".format, inner),
    max_leaves=12,
))  # fmt: skip
def test_the_evaluator_agrees_with_python_or_says_that_it_does_not_know(text: str) -> None:
    try:
        ours = literal(text)
    except Unknown:
        return
    assert ours == eval(text)  # our own text, made of the few words above


@pytest.mark.parametrize(
    "text", ["10**10**10", "9" * 5000, "1e999", "'a' * 10**9", "-" * 900 + "1", "(" * 5000, "1+" * 9999 + "1"]
)
def test_no_expression_is_too_large_to_refuse(text: str) -> None:
    with pytest.raises(Unknown):
        literal(text)


@pytest.mark.parametrize(
    "text", ["print(1)", "__import__('os')", "().__class__", "[1]", "lambda: 1", "f'{1}'", "x"]
)
def test_nothing_is_called_or_looked_up(text: str) -> None:
    node = ast.parse(text, mode="eval").body
    with pytest.raises(Unknown):
        evaluate(node, {})


def test_complexity_counts_lines_of_code_only() -> None:
    assert complexity(GENOME) == 17
    assert complexity('"""Only\nwords."""\n\n# none\n') == 0
    assert complexity("A = '''one\ntwo'''\n") == 2


def test_a_change_of_seeds_alone_is_told_from_others() -> None:
    seed = GENOME.replace("SEED = 42", "SEED = 43")
    assert only_seed_changed(GENOME, seed)
    assert only_seed_changed(GENOME, GENOME.replace("manual_seed(SEED)", "manual_seed(7)"))
    assert only_seed_changed(
        GENOME, GENOME.replace("    return", "    torch.cuda.manual_seed_all(1)\n    return")
    )
    assert not only_seed_changed(GENOME, seed.replace("DEPTH = 8", "DEPTH = 9"))
    assert not only_seed_changed(GENOME, GENOME + "# nothing new\n")
