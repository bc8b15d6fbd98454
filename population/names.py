"""What lineages are called: amber, birch, ... zinnia, amber2, birch2, ..."""

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
