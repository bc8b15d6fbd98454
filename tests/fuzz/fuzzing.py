"""How long the fuzzing takes: LINEAGES_FUZZ is the number of examples a test, if it is set."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

OURS = b'{"[]},:\\u00ff\x00\n -+.eE0123456789ntf'  # bytes that mean something to whoever reads JSON


def examples(usual: int) -> settings:
    """Settings of a test that usually has so many examples."""
    count = int(os.environ.get("LINEAGES_FUZZ", usual))
    return settings(
        max_examples=count, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes of `content` changed, cut out, repeated or put in, a few times over."""
    for _ in range(draw(st.integers(0, 4))):
        low, high = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
        foreign = draw(
            st.one_of(st.binary(max_size=8), st.lists(st.sampled_from(OURS), max_size=8).map(bytes))
        )
        match draw(st.sampled_from(["flip", "cut", "repeat", "insert", "end"])):
            case "flip":
                content = content[:low] + foreign + content[low + len(foreign) :]
            case "cut":
                content = content[:low] + content[high:]
            case "repeat":
                content = content[:high] + content[low:]
            case "insert":
                content = content[:low] + foreign + content[low:]
            case _:
                content = content[:high]
    return content
