"""The page in a real browser, which knows best what it is worth."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import msgspec
import pytest
from playwright.sync_api import Browser, Page
from synthetic_runs import Story, searched

from population.records import Crashed
from results.tree import write_tree
from results.writing import arrows

Opens = Callable[..., Page]


def genome_of(commit: str) -> str:
    return f"DEPTH = {int(commit, 16) % 97}\n"


def written(story: Story, folder: Path) -> Path:
    lines = (msgspec.json.encode(entry) + b"\n" for entry in story.entries)
    (folder / "journal.jsonl").write_bytes(b"".join(lines))
    write_tree(folder, story.population, genome_of)
    return folder / "tree.html"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of a hundred trials."""
    return written(searched(100), tmp_path_factory.mktemp("run"))


@pytest.fixture
def opens(chromium: Browser) -> Iterator[Opens]:
    """Opens a page and waits for its chart. At the end, none may have complained or asked the network."""
    heard: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1200, scheme: str = "light", anchor: str = "") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: request.url.startswith(path.as_uri()) or heard.append(request.url))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.goto(path.as_uri() + anchor)
        page.wait_for_selector("html[data-drawn]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


def inked(page: Page) -> int:
    """How many pixels of the chart are painted, and not only tinted."""
    return int(
        page.evaluate(
            """() => { const from = document.querySelector("#chart canvas");
            const to = new OffscreenCanvas(from.width, from.height);
            const pen = to.getContext("2d", {willReadFrequently: true});
            pen.drawImage(from, 0, 0);
            const d = pen.getImageData(0, 0, to.width, to.height).data;
            let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 100; return n; }"""
        )
    )


def test_hovering_over_a_trial_tells_its_idea_and_numbers(run: Path, opens: Opens) -> None:
    page = opens(run)
    spot = page.evaluate("() => window.placeOf(42)")
    page.locator("#stage").hover(position={"x": spot[0], "y": spot[1]})
    card = page.locator("#card").inner_text()
    idea = arrows(searched(100).population.trials[42].candidate.idea)
    assert card.startswith("trial 42 ·") and idea in card and "gain" in card and "seed" in card


def test_following_a_lineage_dims_the_others_and_is_undone_by_the_same_button(
    run: Path, opens: Opens
) -> None:
    page = opens(run)
    whole, chip = inked(page), page.locator("[data-follow=cedar]")
    chip.click()
    page.wait_for_selector("html[data-followed=cedar]")
    assert page.locator("#said").inner_text().startswith("Following cedar: default, mutate")
    assert chip.get_attribute("aria-pressed") == "true" and inked(page) < 0.9 * whole
    assert page.locator(".steps > li.aside").count() > page.locator(".steps > li:not(.aside)").count() > 0
    chip.click()
    assert page.locator(".aside").count() == 0


def test_a_click_on_a_trial_follows_its_lineage(run: Path, opens: Opens) -> None:
    page = opens(run)
    spot = page.evaluate("() => window.placeOf(42)")
    page.locator("#stage").click(position={"x": spot[0], "y": spot[1]})
    lineage = searched(100).population.trials[42].candidate.lineage
    assert page.locator("[aria-pressed=true]").get_attribute("data-follow") == lineage


def test_the_keyboard_walks_through_trials_and_follows(run: Path, opens: Opens) -> None:
    page = opens(run)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.locator("#stage").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.locator("#card").inner_text().startswith("trial 2 ·")
    page.keyboard.press("Enter")
    assert page.locator("[aria-pressed=true]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("[aria-pressed=true]").count() == 0 and page.locator("#card").is_hidden()


def test_a_diff_opens(run: Path, opens: Opens) -> None:
    page = opens(run)
    diff = page.locator("details").first
    assert not diff.locator("pre").is_visible()
    diff.locator("summary").click()
    assert "+DEPTH =" in diff.locator("pre").inner_text()


def test_zooming_in_and_out_and_by_time(run: Path, opens: Opens) -> None:
    page = opens(run)
    before = page.evaluate("() => window.placeOf(42)")
    page.locator("[data-zoom=in]").click()
    page.wait_for_function("(x) => Math.abs(window.placeOf(42)[0] - x) > 5", arg=before[0])
    page.locator("[data-zoom=all]").click()
    page.wait_for_function("(x) => Math.abs(window.placeOf(42)[0] - x) < 1", arg=before[0])
    page.locator("#stage").focus()
    for key in ("+", "+", "End"):
        page.keyboard.press(key)
    page.wait_for_function("() => document.querySelector('#card').textContent.startsWith('trial 100')")
    page.wait_for_function("() => document.querySelector('#said').textContent.startsWith('trial 100')")
    assert page.locator("#ring").is_visible()
    page.get_by_label("by time").check()
    page.wait_for_selector("html[data-drawn=hours]")


def test_what_is_followed_is_in_the_address_and_outlives_a_reload(run: Path, opens: Opens) -> None:
    page = opens(run, anchor="#live&follow=birch")
    assert page.locator("[data-follow=birch]").get_attribute("aria-pressed") == "true"
    assert page.locator("#live").is_checked()


def test_hostile_ideas_are_text_in_the_card_too(tmp_path: Path, opens: Opens) -> None:
    story, idea = Story().begins("cedar"), "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    story.tries("cedar", idea, 2.6, keep=True)
    page = opens(written(story, tmp_path))
    page.locator("#stage").focus()
    page.keyboard.press("End")
    assert idea in page.locator("#card").inner_text() and page.locator("img").count() == 0


def test_runs_with_one_trial_and_with_failures_alone_are_drawn(tmp_path: Path, opens: Opens) -> None:
    failed = Story().founds("cedar")
    failed.tries("cedar", "the baseline", Crashed("no data"), operator="baseline")
    for name, story in (("one", Story().begins("cedar")), ("none", failed)):
        (tmp_path / name).mkdir()
        assert inked(opens(written(story, tmp_path / name))) > 100


def test_five_thousand_trials_are_drawn_in_time_and_the_page_is_light(tmp_path: Path, opens: Opens) -> None:
    path = written(searched(5000), tmp_path)
    assert path.stat().st_size < 8e6
    begun = monotonic()
    assert inked(opens(path)) > 10_000
    assert monotonic() - begun < 6


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (390, "light")])
def test_it_fits_its_window(run: Path, opens: Opens, tmp_path: Path, width: int, scheme: str) -> None:
    """The pictures are left in the temporary folder, to be looked at."""
    page = opens(run, width, scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
