"""The runs as a browser finds them, over real HTTP."""

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from synthetic_runs import searched
from test_browser import written

from results.serving import serving
from trainer.errors import BadInput


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run in it, what it leaves, and what is nobody's business."""
    runs = tmp_path_factory.mktemp("served") / "runs"
    run = runs / "1123-night"
    (run / "logs").mkdir(parents=True)
    written(searched(12), run)
    (run / "logs" / "0007.log").write_text("<script>alert(1)</script>\n")
    (run / "settings.json").write_text("{}")
    (runs.parent / "key").write_text("secret")
    (run / "logs" / "0008.log").symlink_to(runs.parent / "key")
    return runs


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with serving(runs, 0) as address:
        yield address


def asked(address: str, path: str, host: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.request("GET", path, headers={"Host": host} if host else {})
    return connection.getresponse()


def test_the_index_names_each_run_with_its_state_and_leads_to_its_page(address: str) -> None:
    page = asked(address, "/").read().decode()
    assert 'href="1123-night/tree.html"' in page and "stopped" in page and ">12<" in page


@pytest.mark.parametrize("path", ["tree.html", "tree.svg", "journal.jsonl"])
def test_what_a_run_leaves_is_given_out_as_it_is(address: str, runs: Path, path: str) -> None:
    assert asked(address, f"/1123-night/{path}").read() == (runs / "1123-night" / path).read_bytes()


def test_a_browser_that_asks_for_an_icon_has_nothing_to_complain_of(address: str) -> None:
    assert asked(address, "/favicon.ico").status == 204


def test_a_log_is_text_whatever_it_says(address: str) -> None:
    reply = asked(address, "/1123-night/logs/0007.log")
    assert reply.headers.get_content_type() == "text/plain"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert b'href="0007.log"' in asked(address, "/1123-night/logs/").read()


@pytest.mark.parametrize(
    "path",
    [
        "/1123-night/settings.json",
        "/1123-night/logs/0008.log",
        "/../key",
        "/1123-night/../../key",
        "/1123-night/logs/..%2f..%2f..%2fkey",
        "/%2e%2e/key",
        "//key",
        "/other/tree.html",
    ],
)
def test_nothing_else_is_given_out(address: str, path: str) -> None:
    reply = asked(address, path)
    assert reply.status == 404 and b"secret" not in reply.read()


def test_a_page_from_elsewhere_that_points_its_name_here_learns_nothing(address: str) -> None:
    reply = asked(address, "/", host="evil.example:80")
    assert reply.status == 403 and b"1123-night" not in reply.read()
    assert asked(address, "/", host="localhost:9000").status == 200


def test_a_port_that_is_taken_is_refused_with_a_way_out(address: str, runs: Path) -> None:
    taken = urlsplit(address).port
    assert taken is not None
    with pytest.raises(BadInput, match="choose another --serve"), serving(runs, taken):
        pass


def test_word_of_a_change_comes_when_a_journal_has_grown(address: str, runs: Path) -> None:
    told = asked(address, "/changes")
    with (runs / "1123-night" / "journal.jsonl").open("ab") as journal:
        journal.write(b"\n")  # what a torn last line leaves is nothing to a reader
    assert b"data: changed\n" in iter(told.readline, b"")


@pytest.mark.parametrize(("page", "beside"), [("", "journal.jsonl"), ("1123-night/tree.html", "tree.html")])
def test_what_changed_between_a_page_and_its_question_is_told(
    address: str, runs: Path, page: str, beside: str
) -> None:
    sent = asked(address, f"/{page}").headers["Server-Timing"].partition('desc="')[2].rstrip('"')
    changes = f"/{page.removesuffix('tree.html')}changes?seen={sent}"
    assert asked(address, changes).readline() == b": nothing new\n"
    os.utime(runs / "1123-night" / beside)
    assert asked(address, changes).readline() == b"data: changed\n"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_page() as page:
        yield page


def grown(runs: Path, trials: int) -> None:
    """The run has gone on to so many trials."""
    os.utime(runs / "1123-night" / "tree.html", (1, 1))  # what is seconds old is not drawn again
    written(searched(trials), runs / "1123-night")


def shows(page: Page, trials: int) -> None:
    page.wait_for_function(f"() => document.querySelector('.facts')?.innerText.includes('{trials} trials')")


def test_a_run_that_is_followed_shows_itself_anew_after_each_trial(
    address: str, runs: Path, page: Page
) -> None:
    page.goto(address)
    page.locator("a", has_text="1123-night").first.click()
    page.wait_for_selector("html[data-drawn]")
    page.locator("#live").check()
    assert page.locator("h1").count() == 1 and page.url.endswith("#live")
    for trials in (13, 14):
        grown(runs, trials)
        shows(page, trials)
        assert page.locator("#live").is_checked()


def test_what_came_while_a_run_was_not_followed_is_shown_once_it_is(
    address: str, runs: Path, page: Page
) -> None:
    page.goto(f"{address}1123-night/tree.html")
    page.wait_for_selector("html[data-drawn]")
    grown(runs, 15)
    page.wait_for_timeout(2500)  # so that the page has heard of it
    page.locator("#live").check()
    shows(page, 15)
