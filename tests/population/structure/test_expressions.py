"""Evaluating a stranger's constants takes little work, whatever they say."""

import time

import pytest

from population.genome import constants, holds, knobs, parse_range
from population.structure.expressions import Unknown, literal


@pytest.mark.parametrize(
    "text", ["round(1, -10**9)", "round(7, 10**70)", "(1,) * 3", str(tuple(range(2000)))]
)
def test_what_would_take_much_work_is_not_evaluated(text: str) -> None:
    with pytest.raises(Unknown):
        literal(text)


def test_rounding_and_small_tables_are_evaluated() -> None:
    assert literal("round(1234, -2)") == 1200 and literal("round(2.5)") == 2
    assert literal("((1, 2), (3, 4)) == ((1, 2), (3, 4))") is True and literal("()") == ()


def test_tuples_that_double_are_left_before_they_are_large() -> None:
    doubled = [f"{name}{i} = ({name}{i - 1}, {name}{i - 1})" for i in range(1, 60) for name in "TU"]
    text = "\n".join(["T0 = (1,)", "U0 = (1,)", *doubled, "A = T59 == U59", "assert T59 == U59"])
    begun = time.monotonic()
    assert "T5" in constants(text) and "T59" not in constants(text) and knobs(text) == {}
    assert holds(text, {}) and time.monotonic() - begun < 30  # 2**60 comparisons would take years


def test_tuples_that_nest_are_left_before_they_are_deep() -> None:
    nested = [f"{name}{i} = ({name}{i - 1},)" for i in range(1, 3000) for name in "TU"]
    text = "\n".join(["T0 = (1,)", "U0 = (1,)", *nested, "assert T2999 == U2999"])
    assert "T40" in constants(text) and "T2999" not in constants(text) and holds(text, {})


@pytest.mark.parametrize("word", ['"\\ud800"', '"\\udc00" + "a"', "'a\\udfff'"])
def test_half_a_character_is_no_constant(word: str) -> None:
    assert constants(f"SEPARATOR = {word}\nPLAIN = 'ü\\U0001f600'").keys() == {"PLAIN"}
    assert parse_range(f"one of {word}, 'b'") is None


def test_a_range_of_a_thousand_words_is_words() -> None:
    assert parse_range("1" + " to 2, step" * 1000 + " 3") is None
