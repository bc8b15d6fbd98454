"""Serves the runs to a browser: an index, their pages, the files they leave, and word when something changed.

For people who work over ssh (`ssh -L 8000:127.0.0.1:8000 HOST`). It listens on 127.0.0.1 only and answers to
no other name than that and localhost: a page from elsewhere that has its own name point here learns nothing.
It gives out what a run leaves for people, and writes nothing. Whoever has an account on the machine can
connect to the port as well.
"""

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from results.listing import journals, listed
from results.page.index import files, index
from trainer.errors import BadInput

HOST: Final = "127.0.0.1"
_LOOK_S: Final = 1.0  # between two looks at what changed

_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
# What is left for people, below the folder of runs, and as what it is sent: a page, or nothing that runs.
_LEFT: Final = {
    r"compare\.html|[^/]+/tree\.html": _HTML,
    r"[^/]+/tree\.svg": "image/svg+xml",
    r"[^/]+/(best/train\.py|best/best\.diff|results\.tsv|journal\.jsonl|logs/\d+\.log)": _TEXT,
    r"[^/]+/experiments\.parquet": "application/octet-stream",
}
_INERT: Final = "default-src 'none'; style-src 'unsafe-inline'"  # for what brings no policy of its own


@contextlib.contextmanager
def serving(runs: Path, port: int) -> Iterator[str]:
    """Serve the runs in a folder while the block lasts; yields the address. Port 0 is any that is free.

    Raises BadInput if the port cannot be had.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Visit, runs))
    except (OSError, OverflowError) as error:
        raise BadInput(f"cannot serve at port {port} ({error}): choose another --serve") from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class _Visit(BaseHTTPRequestHandler):
    """One request, on a thread of its own."""

    def __init__(self, runs: Path, *args: object) -> None:
        self._runs = runs
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the browser went on
            url = urlsplit(self.path)
            self._answer(unquote(url.path).removeprefix("/"), parse_qs(url.query).get("seen", [None])[0])

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal belongs to the run."""

    def _answer(self, path: str, seen: str | None) -> None:
        """`seen` is what the page that asks for changes was sent with."""
        runs = self._runs
        run, _, rest = path.partition("/")
        if self.headers.get("Host", "").partition(":")[0] not in (HOST, "localhost"):
            self._send(_TEXT, b"this answers to localhost only\n", HTTPStatus.FORBIDDEN)
        elif path == "":
            shown = _state(journals(runs))
            drawn = [page.parent.name for page in runs.glob("*/tree.html")]
            page = index(listed(runs), drawn, (runs / "compare.html").exists())
            self._send(_HTML, page.encode(), shown=shown)
        elif path == "favicon.ico":  # which browsers ask for unasked, and complain where there is none
            self._send(_TEXT, b"", HTTPStatus.NO_CONTENT)
        elif path == "changes":
            self._tell(lambda: journals(runs), seen)
        elif run not in _folders(runs) and path != "compare.html":
            self._send(_TEXT, b"there is no such run\n", HTTPStatus.NOT_FOUND)
        elif rest == "changes":
            self._tell(lambda: [runs / run / "tree.html"], seen)
        elif rest == "logs/":
            logs = sorted(log.name for log in (runs / run / "logs").glob("*.log"))
            self._send(_HTML, files(f"Logs of {run}", logs).encode())
        else:
            self._give(path)

    def _give(self, path: str) -> None:
        """A file, if it is one of those that are left for people."""
        kind = next((kind for names, kind in _LEFT.items() if re.fullmatch(names, path)), None)
        file = self._runs / path
        if kind is None or file.is_symlink() or not file.is_file():
            self._send(_TEXT, b"there is no such file\n", HTTPStatus.NOT_FOUND)
        else:
            shown = _state([file])
            self._send(kind, file.read_bytes(), shown=shown)

    def _send(
        self, kind: str, content: bytes, status: HTTPStatus = HTTPStatus.OK, shown: str | None = None
    ) -> None:
        """`shown` tells the page which state it shows, in a header that a page can read of itself."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if shown is not None:
            self.send_header("Server-Timing", f'shown;desc="{shown}"')
        self._head(kind)
        if self.command == "GET":
            self.wfile.write(content)

    def _head(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        if kind != _HTML:
            self.send_header("Content-Security-Policy", _INERT)
        self.end_headers()

    def _tell(self, watched: Callable[[], Iterable[Path]], seen: str | None) -> None:
        """A message whenever a file has changed (server-sent events), until the browser hangs up.

        What changed since the page was sent, before it could ask, is told as well.
        """
        seen = seen or _state(watched())
        self.send_response(HTTPStatus.OK)
        self._head("text/event-stream")
        while True:
            time.sleep(_LOOK_S)
            now = _state(watched())
            # A comment in between: only by writing is it noticed that nobody listens any more.
            self.wfile.write(b": nothing new\n\n" if now == seen else b"data: changed\n\n")
            seen = now


def _folders(runs: Path) -> set[str]:
    return {journal.parent.name for journal in journals(runs)}


def _state(files: Iterable[Path]) -> str:
    """Something that is different after any of the files was written."""
    found = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            about = file.stat()
            found.append((str(file), about.st_mtime_ns, about.st_size))
    return hashlib.blake2b(repr(found).encode(), digest_size=8).hexdigest()
