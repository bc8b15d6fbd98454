"""The briefs that come with the program can each be given to a lineage alone."""

from pathlib import Path

import pytest

from population.keeping.runs import Brief, read_briefs

ROOT = Path(__file__).parents[3]
BRIEFS = read_briefs([ROOT / "program.md", ROOT / "programs"])


def test_there_are_briefs_that_differ_in_what_they_look_for() -> None:
    names = {brief.name for brief in BRIEFS}
    assert names >= {"program", "architecture", "optimisation", "simplification", "contrarian", "efficiency"}


@pytest.mark.parametrize("brief", BRIEFS, ids=lambda brief: brief.name)
def test_a_brief_says_what_is_fixed_since_its_reader_sees_no_other(brief: Brief) -> None:
    text = " ".join(brief.text.split())
    for rule in (
        "lower is better",
        "`prepare.py`",
        "`build_model()`",
        "looks ahead",
        "no new dependency",
        "seed",
    ):
        assert rule in text, rule
    assert len(text) < 6000
