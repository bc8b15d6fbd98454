"""Two changes of one genome come together where they touch different things, and clash where they do not."""

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from population.merging import Conflict, Merged, merge

TRAIN = (Path(__file__).parents[2] / "trainer" / "train.py").read_text()

BASE = '''"""A genome: ü."""
import math
from typing import Any

# Model
DEPTH = 8  # layers; 1 to 16
WIDTH = 64
NAMES = "x = 1; y"

TEXT = """
WIDTH = 3
def f(): pass
"""  # looks like code


@cached
def scale(x, y):
    """Doc."""
    x = x * 2  # twice
    for i in range(3):
        # inside
        x = x + i
        y = y - i
    return x, y


class GPT(Module):
    rotary: Tensor
    heads = 4

    def first(self, x):
        self.a = 1
        self.b = 2
        return x

    def second(self, x):
        if x:
            one()
        elif not x:
            two()
        else:
            three()
        return x


if __name__ == "__main__":
    scale(1, 2)
'''

Edit = tuple[str, str]


def edited(text: str, *edits: Edit) -> str:
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def merged(base: str, ours: str, theirs: str, prefer: Literal["ours", "theirs"] | None = None) -> str:
    found = merge(base, ours, theirs, prefer)
    assert isinstance(found, Merged), found
    return found.text


def clashes(base: str, ours: str, theirs: str) -> tuple[str, ...]:
    found = merge(base, ours, theirs)
    assert isinstance(found, Conflict), found
    return found.clashes


APART: dict[str, tuple[Edit, Edit]] = {
    "neighbouring constants": (("DEPTH = 8", "DEPTH = 9"), ("WIDTH = 64", "WIDTH = 96")),
    "a value and its comment": (("DEPTH = 8", "DEPTH = 9"), ("1 to 16", "1 to 32")),
    "a value and the comment above": (("DEPTH = 8", "DEPTH = 9"), ("# Model", "# The model")),
    "new constants at either end": (
        ("# Model\n", "# Model\nNEW = 1\n"),
        ("WIDTH = 64\n", "WIDTH = 64\nOLD = 2\n"),
    ),
    "a new constant and its neighbour": (("# Model\n", "# Model\nNEW = 1\n"), ("DEPTH = 8", "DEPTH = 9")),
    "imports": (("import math\n", "import math\nimport os\n"), ("import Any\n", "import Any\nimport sys\n")),
    "names of one import": (("import Any", "import Any, Final"), ("import math", "import math as m")),
    "a decorator and the body": (("@cached\n", "@cached\n@other\n"), ("# twice", "# thrice")),
    "a decorator and the signature": (("@cached\n", ""), ("scale(x, y)", "scale(x, y, z=0)")),
    "docstrings and code": (('"""Doc."""', '"""Docs."""'), ("x = x * 2", "x = x * 3")),
    "neighbouring statements": (("x = x * 2", "x = x * 3"), ("range(3)", "range(4)")),
    "neighbouring statements of a loop": (("x = x + i", "x = x - i"), ("y = y - i", "y = y + i")),
    "the head of a loop and its body": (("range(3)", "range(4)"), ("y = y - i", "y = y + i")),
    "branches of one if": (("one()", "eins()"), ("two()", "zwei()")),
    "a branch and a condition": (("three()", "drei()"), ("elif not x", "elif x is None")),
    "methods": (("self.a = 1", "self.a = 3"), ("one()", "eins()")),
    "statements of one method": (("self.a = 1", "self.a = 3"), ("self.b = 2", "self.b = 4")),
    "a class's bases and a method": (("GPT(Module)", "GPT(Base)"), ("self.b = 2", "self.b = 4")),
    "class attributes": (("heads = 4", "heads = 5"), ("rotary: Tensor", "rotary: Tensor = None")),
    "a deletion and its neighbour": (("WIDTH = 64\n", ""), ("DEPTH = 8", "DEPTH = 9")),
    "two deletions": (("WIDTH = 64\n", ""), ('NAMES = "x = 1; y"\n', "")),
    "a deleted method and a changed one": (
        ("        self.a = 1\n", ""),
        ("        return x\n\n\nif", "\n\nif"),
    ),
    "a string that looks like code": (("WIDTH = 3\ndef", "WIDTH = 4\ndef"), ("WIDTH = 64", "WIDTH = 96")),
    "the last block": (
        ("scale(1, 2)", "scale(2, 1)"),
        ("        return x\n\n\nif", "        return -x\n\n\nif"),
    ),
}


@pytest.mark.parametrize("edits", APART.values(), ids=APART.keys())
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_edits_of_different_things_are_both_kept_byte_for_byte(
    edits: tuple[Edit, Edit], line_end: str
) -> None:
    texts = BASE, edited(BASE, edits[0]), edited(BASE, edits[1]), edited(BASE, *edits)
    base, ours, theirs, both = (text.replace("\n", line_end) for text in texts)
    assert merged(base, ours, theirs) == merged(base, theirs, ours) == both


TOGETHER: dict[str, tuple[Edit, Edit, Edit]] = {
    "constants": (
        ("WIDTH = 64\n", "WIDTH = 64\nONE = 1\n"),
        ("WIDTH = 64\n", "WIDTH = 64\nTWO = 2\n"),
        ("WIDTH = 64\n", "WIDTH = 64\nONE = 1\nTWO = 2\n"),
    ),
    "functions": (
        ("\n\nclass GPT", "\n\ndef one():\n    pass\n\n\nclass GPT"),
        ("\n\nclass GPT", "\n\ndef two():\n    pass\n\n\nclass GPT"),
        ("\n\nclass GPT", "\n\ndef one():\n    pass\n\n\ndef two():\n    pass\n\n\nclass GPT"),
    ),
    "methods": (
        ("    def second", "    def one(self):\n        pass\n\n    def second"),
        ("    def second", "    def two(self):\n        pass\n\n    def second"),
        (
            "    def second",
            "    def one(self):\n        pass\n\n    def two(self):\n        pass\n\n    def second",
        ),
    ),
    "imports": (
        ("import math\n", "import math\nimport os\n"),
        ("import math\n", "import math\nfrom sys import path\n"),
        ("import math\n", "import math\nimport os\nfrom sys import path\n"),
    ),
    "names of one import": (
        ("import Any", "import Any, Literal"),
        ("import Any", "import Any, Final"),
        ("import Any", "import Any, Final, Literal"),
    ),
    "attributes that have nothing to do with each other": (
        ("self.b = 2\n", "self.b = 2\n        self.c = make(1)\n"),
        ("self.b = 2\n", "self.b = 2\n        self.d = make(2)\n"),
        ("self.b = 2\n", "self.b = 2\n        self.c = make(1)\n        self.d = make(2)\n"),
    ),
    "constants under one heading": (
        ("# Model\n", "# Model\nONE = 1\n"),
        ("# Model\n", "# Model\nTWO = 2\n"),
        ("# Model\n", "# Model\nONE = 1\nTWO = 2\n"),
    ),
    "the same value": (("DEPTH = 8", "DEPTH = 9"),) * 3,
    "the same addition": (("WIDTH = 64\n", "WIDTH = 64\nONE = 1\n"),) * 3,
    "the same deletion": (("WIDTH = 64\n", ""),) * 3,
    "a value spelt differently": (("= 64\n", "= 2**9\n"), ("= 64\n", "= 512\n"), ("= 64\n", "= 2**9\n")),
    "a docstring": (('"""Doc."""', '"""A."""'), ('"""Doc."""', '"""B."""'), ('"""Doc."""', '"""A."""')),
}


@pytest.mark.parametrize("edits", TOGETHER.values(), ids=TOGETHER.keys())
def test_what_both_add_or_do_alike_at_one_place_is_kept_with_ours_first(
    edits: tuple[Edit, Edit, Edit],
) -> None:
    ours, theirs, both = (edited(BASE, edit) for edit in edits)
    assert merged(BASE, ours, theirs) == both


CLASHING: dict[str, tuple[Edit, Edit, str]] = {
    "one constant": (("DEPTH = 8", "DEPTH = 9"), ("DEPTH = 8", "DEPTH = 7"), "DEPTH"),
    "a deletion and a change": (("WIDTH = 64\n", ""), ("WIDTH = 64", "WIDTH = 96"), "WIDTH"),
    "a new name and a change": (("WIDTH = 64\n", "BREADTH = 64\n"), ("WIDTH = 64", "WIDTH = 96"), "WIDTH"),
    "one statement": (("x = x * 2", "x = x * 3"), ("x = x * 2", "x = x * 4"), "scale"),
    "one statement of a method": (("self.b = 2", "self.b = 3"), ("self.b = 2", "self.b = 4"), "GPT.first"),
    "a signature": (("scale(x, y)", "scale(x, y, z)"), ("scale(x, y)", "scale(x, y, w)"), "scale"),
    "a class's bases": (("(Module)", "(A)"), ("(Module)", "(B)"), "GPT"),
    "additions that depend on order": (
        ("    return x, y", "    x = f(x)\n    return x, y"),
        ("    return x, y", "    x = g(x)\n    return x, y"),
        "scale",
    ),
    "one statement put in at two places": (
        ("    for i", "    x = f(x)\n    for i"),
        ("    return x, y", "    x = f(x)\n    return x, y"),
        "scale",
    ),
    "a block that was rewritten, and a line in it": (
        ("        x = x + i\n        y = y - i\n", "        x, y = go(x, y)\n"),
        ("y = y - i", "y = y + i"),
        "scale",
    ),
    "calls at one place": (
        ("    scale(1, 2)\n", "    scale(1, 2)\n    a()\n"),
        ("    scale(1, 2)\n", "    scale(1, 2)\n    b()\n"),
        'if __name__ == "__main__":',
    ),
    "a change and a second definition": (
        ("DEPTH = 8", "DEPTH = 9"),
        ("\n\nif __name__", "\nDEPTH = 3\n\n\nif __name__"),
        "DEPTH",
    ),
    "two new functions of one name": (
        ("\n\nclass GPT", "\n\ndef new():\n    return 1\n\n\nclass GPT"),
        ("\n\nif __name__", "\n\ndef new():\n    return 2\n\n\nif __name__"),
        "new",
    ),
}


@pytest.mark.parametrize("edits", CLASHING.values(), ids=CLASHING.keys())
def test_what_both_touched_is_a_clash_with_its_name_and_goes_to_the_preferred_side(
    edits: tuple[Edit, Edit, str],
) -> None:
    mine, yours, name = edits
    ours, theirs = edited(BASE, mine), edited(BASE, yours)
    assert clashes(BASE, ours, theirs) == clashes(BASE, theirs, ours) == (name,)
    assert merged(BASE, ours, theirs, prefer="ours") == ours
    assert merged(BASE, ours, theirs, prefer="theirs") == theirs


def test_a_clash_takes_nothing_from_the_other_side_but_itself() -> None:
    ours = edited(BASE, ("DEPTH = 8", "DEPTH = 9"), ("heads = 4", "heads = 5"))
    theirs = edited(BASE, ("DEPTH = 8", "DEPTH = 7"), ("WIDTH = 64", "WIDTH = 96"))
    expected = edited(
        BASE, ("DEPTH = 8", "DEPTH = 7"), ("heads = 4", "heads = 5"), ("WIDTH = 64", "WIDTH = 96")
    )
    assert merged(BASE, ours, theirs, prefer="theirs") == expected


CONTRADICTIONS: dict[str, tuple[str, str, str]] = {
    "a constant": ("A = 1\nB = 2\n", "A = 1\n", "A = B\nB = 2\n"),
    "a function": ("def f(): pass\nA = 1\n", "def g(): pass\nA = 1\n", "def f(): pass\nA = f()\n"),
    "an attribute": (
        "class C:\n    def a(self):\n        self.x = 1\n    def b(self):\n        pass\n",
        "class C:\n    def a(self):\n        self.y = 1\n    def b(self):\n        pass\n",
        "class C:\n    def a(self):\n        self.x = 1\n    def b(self):\n        return self.x\n",
    ),
    "a local name": (
        "def f(h):\n    y = 1\n    return y\n",
        "def f(k):\n    y = 1\n    return y\n",
        "def f(h):\n    y = h\n    return y\n",
    ),
    "a builtin that is no longer one": (
        "A = 1\nB = 2\n", "max = min\nA = 1\nB = 2\n", "A = 1\nB = max(2, 3)\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("texts", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_name_that_one_side_does_away_with_and_the_other_uses_anew_is_a_conflict(
    texts: tuple[str, str, str],
) -> None:
    base, ours, theirs = texts
    assert isinstance(merge(base, ours, theirs), Conflict)
    assert isinstance(merge(base, theirs, ours, prefer="ours"), Conflict)


def test_a_change_can_be_taken_back_under_later_ones() -> None:
    before = BASE
    change = edited(before, ("x = x * 2", "x = x * 3"), ("DEPTH = 8", "DEPTH = 9"))
    tip = edited(change, ("WIDTH = 64", "WIDTH = 96"), ("range(3)", "range(5)"))
    assert merged(change, tip, before) == edited(
        before, ("WIDTH = 64", "WIDTH = 96"), ("range(3)", "range(5)")
    )


def test_a_moved_function_stays_moved_and_clashes_only_if_the_other_side_changed_it() -> None:
    base = "A = 1\ndef f():\n    pass\nB = 2\nC = 3\n"
    moved = "A = 1\nB = 2\nC = 3\ndef f():\n    pass\n"
    assert merged(base, moved, base.replace("B = 2", "B = 4")) == moved.replace("B = 2", "B = 4")
    assert clashes(base, moved, base.replace("pass", "return")) == ("f",)


def test_definitions_of_one_name_are_told_apart() -> None:
    base = (
        "@overload\ndef f(x: int): ...\n@overload\ndef f(x: str): ...\ndef f(x):\n    a = 1\n    return x\n"
    )
    ours = base.replace(
        "@overload\ndef f(x: str)", "@overload\ndef f(x: bool): ...\n@overload\ndef f(x: str)"
    )
    theirs = base.replace("a = 1", "a = 2")
    assert clashes(base, ours, theirs) == ("f",)
    assert merged(base, ours, base + "B = 1\n") == ours + "B = 1\n"
    assert merged(base, base.replace("int", "float"), theirs) == theirs.replace("int", "float")


def test_blocks_that_define_names_either_way_merge_like_statements() -> None:
    base = (
        "if X:\n    A = 1\n    B = 1\nelse:\n    A = 2\n    B = 2\n"
        "try:\n    import c\nexcept ImportError:\n    c = None\n"
    )
    ours, theirs = base.replace("A = 2", "A = 3"), base.replace("c = None", "c = 0")
    assert merged(base, ours, theirs) == ours.replace("c = None", "c = 0")
    assert merged(base, ours, base.replace("B = 1", "B = 4")) == ours.replace("B = 1", "B = 4")


def test_type_checking_imports_of_both_sides_are_kept() -> None:
    base = "if TYPE_CHECKING:\n    import a\n"
    assert merged(base, base + "    import b\n", base + "    from c import d\n") == (
        base + "    import b\n    from c import d\n"
    )


def test_statements_that_share_a_line_are_one_thing() -> None:
    base = "A = 1; B = 2\nC = 3\n"
    assert merged(base, base.replace("1", "4"), base.replace("3", "5")) == "A = 4; B = 2\nC = 5\n"
    assert clashes(base, base.replace("1", "4"), base.replace("2", "5")) == ("A, B",)


def test_indentation_is_never_mixed() -> None:
    base = "def f(x):\n    for i in x:\n        a(i)\n    b(x)\n"
    narrow = "def f(x):\n  for i in x:\n    a(i)\n  b(x)\n"
    assert clashes(base, narrow, base.replace("    b(x)\n", "    b(x)\n    c(x)\n")) == ("f",)


def test_tabs_and_files_without_a_last_line_end_merge() -> None:
    base = "A = 1\ndef f():\n\tx = 1\n\ty = 2"
    assert merged(base, base.replace("x = 1", "x = 3"), base.replace("A = 1", "A = 2") + "\n") == (
        "A = 2\ndef f():\n\tx = 3\n\ty = 2\n"
    )
    assert merged(base, base + "\n\tz = 4", base.replace("A", "B")) == base.replace("A", "B") + "\n\tz = 4"


def test_comments_at_the_end_of_a_function_stay_with_it() -> None:
    base = "def f():\n    a()\n    # so much for f\n\n\ndef g():\n    b()\n\n# the end\n"
    theirs = base.replace("def g():\n    b()\n", "")
    assert merged(base, base.replace("a()", "c()"), theirs) == theirs.replace("a()", "c()")


def test_a_call_put_in_by_both_at_two_places_is_not_made_twice() -> None:
    base = "a()\nb()\n"
    assert clashes(base, "c()\na()\nb()\n", "a()\nb()\nc()\n") == ("c()",)


def test_two_constants_renamed_to_one_name_clash() -> None:
    assert clashes("A = 1\nB = 2\nC = 3\n", "N = 1\nB = 2\nC = 3\n", "A = 1\nN = 2\nC = 3\n") == ("A", "B")


def test_the_future_comes_first() -> None:
    base = '"""Doc."""\nA = 1\n'
    ours = '"""Doc."""\nimport os\nA = 1\n'
    theirs = '"""Doc."""\nfrom __future__ import annotations\nA = 1\n'
    assert merged(base, ours, theirs) == '"""Doc."""\nfrom __future__ import annotations\nimport os\nA = 1\n'


def test_a_statement_that_goes_on_in_the_next_line_is_not_cut() -> None:
    base = "A = 1 + \\\r\n2\r\nB = 3\r\n"
    assert merged(base, base.replace("2", "4"), base.replace("3", "5")) == "A = 1 + \\\r\n4\r\nB = 5\r\n"


@pytest.mark.parametrize(
    "broken",
    ["A = (\n", "\0", "  A = 1\nB = 2\n", "x = " + "(" * 500, "x" + ".y" * 9000 + " = 1", "\ud800 = 1"],
)
def test_a_text_that_does_not_parse_is_a_conflict_that_says_which(broken: str) -> None:
    assert "theirs does not parse" in clashes("A = 1\n", "A = 2\n", broken)[0]
    assert "ours does not parse" in clashes("A = 1\n", broken, "A = 2\n")[0]
    assert "base does not parse" in clashes(broken, "A = 1\n", "A = 2\n")[0]


def test_a_merge_that_would_not_parse_is_a_conflict() -> None:
    base = "class C:\n    a = 1\n    b = 2\n"
    assert "does not parse" in clashes(base, "class C:\n    a = 1\n", "class C:\n    b = 2\n")[0]


# --- properties over generated genomes -----------------------------------------------------------------


class Site(Struct, frozen=True):
    """A stretch of a genome before and after the edit of whichever side owns it."""

    before: str
    after: str
    owner: Literal["", "o", "t"]


def text_of(sites: Sequence[Site], owners: str) -> str:
    return "".join(site.after if site.owner and site.owner in owners else site.before for site in sites)


owner: st.SearchStrategy[Literal["", "o", "t"]] = st.sampled_from(("", "o", "t"))
EDITS: list[Callable[[int, str], tuple[str, str]]] = [
    lambda n, at: (f"{at}v{n} = {n}  # ü {n}\n", f"{at}v{n} = f({n})  # ü {n}\n"),
    lambda n, at: (f"{at}# above {n}\n{at}w{n} = (\n{at}    {n},\n{at})\n", ""),
    lambda n, at: ("", f"{at}n{n} = {n}; m{n} = 0\n\n"),
    lambda n, at: (f'{at}s{n} = """\ndef x(): {n}\n"""\n', f'{at}s{n} = """\ndef y(): {n}\n"""\n'),
    lambda n, at: (
        f"{at}if c{n}:\n{at}    g{n}()\n",
        f"{at}if c{n}:\n{at}    g{n}(1)\n{at}else:\n{at}    h()\n",
    ),
    lambda n, at: (f"{at}k{n} = 1 # {n}\n", f"{at}k{n} = 1 # {n}, said better\n"),
    lambda n, at: (f"{at}@d{n}\n{at}def d{n}(): return {n}\n", f"{at}@e{n}\n{at}def d{n}(): return {n}\n"),
]


@st.composite
def genomes(draw: st.DrawFn) -> list[Site]:
    """Constants, functions, classes, methods and statements, edited by either side or none."""
    sites: list[Site] = [Site('"""Doc."""\n', '"""Docs."""\n', draw(owner))]
    number = 0

    def body(indent: str, least: int) -> None:
        nonlocal number
        for kind in draw(st.lists(st.sampled_from(EDITS), min_size=least, max_size=4)):
            number += 1
            sites.append(Site(*kind(number, indent), draw(owner)))
            sites.append(Site(f"{indent}fixed{number} = 0\n", "", ""))

    for kind in draw(st.lists(st.sampled_from(("plain", "def", "class")), max_size=4)):
        number += 1
        match kind:
            case "plain":
                body("", 1)
            case "def":
                sites.append(
                    Site(f"\n\ndef func{number}(x):\n", f"\n\ndef func{number}(x, y=1):\n", draw(owner))
                )
                body("    ", 1)
            case "class":
                sites.append(Site(f"\n\nclass C{number}:\n", f"\n\n@x\nclass C{number}(B):\n", ""))
                body("    ", 1)
                sites.append(Site(f"\n    def method{number}(self):\n", "", ""))
                body("        ", 1)
    return sites


@given(genomes())
def test_edits_of_different_things_always_merge_and_either_way(sites: list[Site]) -> None:
    base, ours, theirs, both = (text_of(sites, owners) for owners in ("", "o", "t", "ot"))
    assert merged(base, ours, theirs) == merged(base, theirs, ours) == both


@given(genomes(), genomes())
def test_a_merge_with_what_did_not_change_is_the_other_side(one: list[Site], other: list[Site]) -> None:
    a, b = text_of(one, "ot"), text_of(other, "")
    assert merged(b, a, b) == merged(b, b, a) == merged(b, a, a) == merged(a, a, a) == a


words = st.sampled_from(["A", "B", "f", "g", "1", "2", "x"])


def block(head: str, body: list[str]) -> str:
    return "\n".join([head, *("    " + line for part in body for line in part.split("\n")), "    pass"])


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    heads = st.sampled_from(["if A:", "for x in B:", "def f(x):", "def g():", "class A:"])
    return st.builds(block, heads, st.lists(inner, min_size=1, max_size=4))


statements = st.recursive(
    st.one_of(
        st.builds("{} = {}".format, words.filter(str.isalpha), words),
        st.builds("{}({})".format, words.filter(str.isalpha), words),
        st.builds("# {}".format, words),
        st.just(""),
        st.builds("import {}".format, words.filter(str.isalpha)),
    ),
    blocks,
    max_leaves=8,
)
modules = st.lists(statements, max_size=6).map("\n".join)


@given(modules, modules, modules, st.sampled_from([None, "ours", "theirs"]))
def test_whatever_is_merged_the_result_parses(
    base: str, ours: str, theirs: str, prefer: Literal["ours", "theirs"] | None
) -> None:
    found = merge(base, ours, theirs, prefer)
    assert isinstance(found, Conflict) or ast.parse(found.text)


def code_lines(text: str) -> list[str]:
    return sorted(line for line in text.split("\n") if line.strip()[:1] not in ("", "#"))


@given(modules, modules, modules)
def test_what_clashes_one_way_clashes_the_other_way(base: str, ours: str, theirs: str) -> None:
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert isinstance(one, Merged) == isinstance(other, Merged)
    if isinstance(one, Merged) and isinstance(other, Merged):
        assert code_lines(one.text) == code_lines(other.text)


# --- properties over the genome every run starts from --------------------------------------------------


def values(text: str) -> list[tuple[int, int]]:
    """Where the values of assignments, returns and calls stand in an ASCII text with plain line ends."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign | ast.Return | ast.Expr | ast.AugAssign) and (value := node.value):
            end = starts[(value.end_lineno or 0) - 1] + (value.end_col_offset or 0)
            if not isinstance(value, ast.Constant) or isinstance(node, ast.Assign):
                found.append((starts[value.lineno - 1] + value.col_offset, end))
    return sorted(found)


VALUES = values(TRAIN)


def with_new_values(text: str, spans: set[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]}new({text[start:end]}){text[end:]}"
    return text


@settings(max_examples=40)
@given(st.sets(st.sampled_from(VALUES), max_size=12), st.sets(st.sampled_from(VALUES), max_size=12))
def test_any_values_of_the_first_genome_can_be_changed_by_either_side(
    ours: set[tuple[int, int]], theirs: set[tuple[int, int]]
) -> None:
    assert TRAIN.isascii()
    expected = with_new_values(TRAIN, ours | theirs)
    assert merged(TRAIN, with_new_values(TRAIN, ours), with_new_values(TRAIN, theirs)) == expected


@settings(max_examples=40)
@given(st.data())
def test_lines_taken_out_or_doubled_in_the_first_genome_never_merge_into_what_does_not_parse(
    data: st.DataObject,
) -> None:
    lines = TRAIN.splitlines(keepends=True)
    sides = []
    for _ in range(2):
        at, count, times = (data.draw(st.integers(0, most)) for most in (len(lines) - 1, 3, 2))
        sides.append("".join([*lines[:at], *lines[at : at + count] * times, *lines[at + count :]]))
    found = merge(TRAIN, sides[0], sides[1], prefer=data.draw(st.sampled_from([None, "ours", "theirs"])))
    assert isinstance(found, Conflict) or ast.parse(found.text)
