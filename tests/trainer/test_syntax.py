"""Source is parsed whatever other threads parse, and what is none is a SyntaxError."""

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainer.checks import static
from trainer.syntax import parse

LONG = Path(static.__file__).read_text(encoding="utf-8")
QUOTED = "def f(x: 'tuple[" + "list[int], " * 500 + "]'): return x"


@pytest.fixture
def restless() -> Iterator[None]:
    """Garbage collections are many, and threads change in each."""

    def rest(phase: str, info: dict[str, int]) -> None:
        time.sleep(1e-4)

    before = gc.get_threshold()
    gc.callbacks.append(rest)
    gc.set_threshold(200)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(rest)


def read(text: str) -> None:
    source = static.read(text)
    static.problem(source, source, source)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize(("parses", "text"), [(parse, LONG), (read, QUOTED)])
def test_threads_may_change_in_the_midst_of_it(parses: Callable[[str], object], text: str) -> None:
    done: list[int] = []

    def work() -> None:
        for turn in range(5):
            parses(text)
            done.append(turn)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4 * 5


@pytest.mark.parametrize("text", ["x =", "\0", "+0" * 200_000, "(" * 1000, "x = '\ud800'"])
def test_what_has_no_tree_is_a_syntax_error(text: str) -> None:
    with pytest.raises(SyntaxError):
        parse(text)


def test_what_a_stranger_is_warned_of_is_not_said() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        parse(r"x = '\d'")
    assert not said
