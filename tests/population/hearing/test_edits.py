"""Edits are applied where they are found once, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.hearing.edits import Edit, Problem, apply

FILE = """DEPTH = 9  # layers; 1 to 16
MAX_DEPTH = 9
LR = 0.04


class Block:
    def forward(self, x):
        if x:
            return self.norm(x)
        return x

    def backward(self, x):
        return x
"""


def edited(*edits: tuple[str, str], text: str = FILE) -> str:
    result = apply(text, [Edit(*edit) for edit in edits])
    assert isinstance(result, str), result
    return result


def reason(*edits: tuple[str, str], text: str = FILE) -> str:
    result = apply(text, [Edit(*edit) for edit in edits])
    assert isinstance(result, Problem) and "\n" not in result.reason
    return result.reason


def test_each_edit_replaces_the_lines_it_names_in_any_order() -> None:
    result = edited(("LR = 0.04\n", "LR = 0.05\n"), ("MAX_DEPTH = 9", "MAX_DEPTH = 8"))
    assert result == FILE.replace("0.04", "0.05").replace("MAX_DEPTH = 9", "MAX_DEPTH = 8")


def test_part_of_a_line_is_found_where_words_end() -> None:
    assert edited(("DEPTH = 9", "DEPTH = 8")) == FILE.replace("DEPTH = 9  #", "DEPTH = 8  #")
    assert "(0 matches)" in reason(("LR = 0.0", "LR = 0.5"))


def test_lines_that_nothing_replaces_leave_no_blank_line() -> None:
    assert edited(("MAX_DEPTH = 9", "")) == FILE.replace("MAX_DEPTH = 9\n", "")


def test_trailing_spaces_and_a_common_indentation_are_forgiven() -> None:
    search = "if x:  \n    return self.norm(x)\nreturn x"
    replace = "if x is None:\n    return self.norm(x)\n\nreturn x"
    indented = "        if x is None:\n            return self.norm(x)\n\n        return x\n"
    before, after = FILE.split("        if x:\n            return self.norm(x)\n        return x\n")
    assert edited((search, replace)) == before + indented + after
    assert edited((search.replace("\n", "\r\n"), replace)) == before + indented + after
    deeper = "\n".join(" " * 12 + line for line in search.split("\n"))
    assert edited((deeper, "\n".join(" " * 12 + line for line in replace.split("\n")))).count("is None") == 1


def test_lines_after_the_first_are_indented_as_the_one_line_that_was_found() -> None:
    result = edited(("return self.norm(x)", "y = self.norm(x)\nreturn y"))
    assert "            y = self.norm(x)\n            return y\n" in result


def test_a_different_inner_indentation_is_no_match() -> None:
    assert "indented" in reason(("if x:\n  return self.norm(x)", "pass"))


def test_the_ends_of_lines_of_the_file_are_kept() -> None:
    text = FILE.replace("\n", "\r\n")
    assert edited(("LR = 0.04", "LR = 0.05\nWD = 0"), text=text) == text.replace("0.04", "0.05\r\nWD = 0")
    assert edited(("def backward(self, x):\n    return x", "X = 1"), text=text).endswith("    X = 1\r\n")


def test_a_search_found_twice_is_refused_with_its_lines() -> None:
    assert "stands 2 times in the file (lines 10, 13)" in reason(("        return x", "        return 2 * x"))
    assert "2 times" in reason(("return x", "return y"))


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([("", "x")], "empty"),
        ([(" \n", "x")], "empty"),
        ([("LR = 0.04", "LR = 0.04")], "changes nothing"),
        ([("LR = 0.04 ", "LR = 0.04")], "nothing"),
        ([("LR = 0.04", "A"), ("MAX_DEPTH = 9\nLR = 0.04", "B")], "blocks 2 and 1 both change line 3"),
        ([("MAX_DEPTH = 9", "A = 1"), ("LR = 0.4", "B = 1")], "block 2: its SEARCH text is not in the file"),
        ([("LR = 0.4", "B = 1")], "nearest to `LR = 0.4` is line 3, `LR = 0.04`"),
        ([("if x:\n    return x", "A")], "says `return x` where the file has `return self.norm(x)` (line 9)"),
        ([("return x\n\n\n\n", "A"), ("zzzz", "B")], "block 1: its SEARCH text stands 2 times"),
        ([("ζ" * 1000, "B")], "nor anything like"),
        ([], "no SEARCH/REPLACE block"),
    ],
)  # fmt: skip
def test_a_problem_says_which_block_and_how_to_mend_it(edits: list[tuple[str, str]], said: str) -> None:
    assert said in reason(*edits)


pieces = st.text(alphabet="ab =\n\r\t #1é", max_size=12)


@given(pieces, st.lists(st.builds(Edit, pieces, pieces), max_size=4))
def test_nothing_raises_and_a_result_is_a_change_or_a_problem_of_one_line(
    text: str, edits: list[Edit]
) -> None:
    result = apply(text, edits)
    assert isinstance(result, str) or (result.reason and "\n" not in result.reason)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True), st.data())
def test_whole_lines_that_stand_once_are_replaced_by_anything(lines: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(lines))
    new = data.draw(st.text(alphabet="xyz \t", min_size=1))
    expected = "".join(f"{new if line == chosen else line}\n" for line in lines)
    assert edited((chosen, new), text="".join(f"{line}\n" for line in lines)) == expected
