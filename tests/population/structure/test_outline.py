"""An outline holds all of a text, and cutting it into pieces changes nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from population.structure.outline import Body, Piece, joined, outline
from trainer.syntax import parse

TRAIN = (Path(__file__).parents[3] / "trainer" / "train.py").read_text()

LINES = """A = 1|B = '''|'''|    c(1)  # ü|if x:|else:|elif y: pass|    # deep|# flat||@d|def f(a,|      b):|
class C:|try:|except E:|G = 3 \\|match x:|    case [y, *z]:|        pass|async def g():|D = (|)|    ]|
E = 1; F = 2|\tt = 1|\f"""

lines = st.lists(st.sampled_from([line.lstrip("\n") for line in LINES.split("|")]), max_size=14)
texts = st.builds(
    lambda rows, end: "".join(row + end for row in rows), lines, st.sampled_from(["\n", "\r\n", "\r"])
)


def units(pieces: tuple[Piece, ...]) -> Body:
    return tuple(unit for piece in pieces for unit in piece.units)


def test_the_first_genome_is_cut_into_its_definitions_and_nothing_is_lost() -> None:
    found = units(outline(TRAIN))
    assert joined(found) == TRAIN
    assert {"DEPTH", "GPT", "rate_at", "from torch"} <= {unit.key for unit in found}


@given(texts)
def test_a_text_has_an_outline_if_it_parses_and_it_holds_every_byte(text: str) -> None:
    try:
        tree = parse(text)
    except SyntaxError:
        with pytest.raises(SyntaxError):
            outline(text)
    else:
        pieces = outline(text)
        assert joined(units(pieces)) == text
        assert sum(len(parse(joined(piece.units)).body) for piece in pieces) == len(tree.body)


def test_comments_belong_to_what_they_precede_and_to_the_block_they_are_indented_like() -> None:
    text = "# one\nA = 1  # two\n\n# three\ndef f():\n    # four\n    a()\n    # five\n\n# six\nB = 2\n"
    assert [unit.text for unit in units(outline(text))] == [
        "# one\nA = 1  # two\n",
        "\n# three\ndef f():\n    # four\n    a()\n    # five\n",
        "\n# six\nB = 2\n",
    ]
