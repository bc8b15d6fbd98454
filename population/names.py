"""What lineages are called (amber, birch, ... zinnia, amber2, ...), and what names of proposers mean."""

from typing import Final

STAND_IN: Final = "mutate/tpe"  # proposes where no mind can be reached
SUBMIT: Final = "submit"  # the proposer of a lineage that is only sent ideas, and never asked

# fmt: off
NAMES = (
    "amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "iris", "juniper", "kelp",
    "lichen", "moss", "nettle", "opal", "pine", "quartz", "reed", "sage", "thistle", "umber", "violet",
    "willow", "yarrow", "zinnia",
)
# fmt: on


def lineage_name(index: int) -> str:
    """The name of the lineage that is founded after `index` others."""
    lap, place = divmod(index, len(NAMES))
    return NAMES[place] + (str(lap + 1) if lap else "")


def reads(proposer: str) -> bool:
    """Whether a proposer, by its full name, reads prose."""
    return proposer.startswith(("llm/", "agent/"))
