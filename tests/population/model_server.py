"""A small model behind real HTTP on the loopback: speaks the OpenAI chat protocol, and misbehaves on request.

    with ModelServer(sensible) as server: ...            # any function from what is asked to a reply
    with ModelServer(Status(500), Said("hello")) as ...  # or replies in order, the last one again and again

`server.environment` is what a program's environment must hold so that it asks this server when it is told to
use the model `openai/ANYTHING`; `server.asked` is what it was sent, oldest first.
"""

import contextlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, TypeAlias, assert_never

from msgspec import Struct

KEY: Final = "sk-kept-to-itself-0123456789"
_TICK_S: Final = 0.05


class Asked(Struct, frozen=True):
    """A request as it came in; `number` counts from 0, names of headers are in lower case."""

    number: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def text(self) -> str:
        """All that the messages say."""
        return "\n".join(message["content"] for message in self.body["messages"])


class Said(Struct, frozen=True):
    """An ordinary reply."""

    text: str | None
    finish: str = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | None = (1000, 50)  # tokens of prompt and reply, if the server counts them


class Status(Struct, frozen=True):
    """An error as providers report one."""

    code: int
    message: str = "something went wrong"
    kind: str | None = None
    headers: dict[str, str] = {}


class Raw(Struct, frozen=True):
    """A body that may be anything. `promised` more bytes are announced than come."""

    body: bytes
    promised: int = 0


class Stall(Struct, frozen=True):
    """No reply; with `dribble`, a byte of one now and then, which looks alive and never ends."""

    dribble: bool = False


Reply: TypeAlias = Said | Status | Raw | Stall


def sensible(asked: Asked) -> Said:
    """Lowers one constant of the genome it is shown: another one, or farther, at each request."""
    told = "\n".join(message["content"] for message in asked.body["messages"] if message["role"] == "user")
    lines = told.splitlines()
    constants = re.findall(r"^(([A-Z][A-Z0-9_]*) = (\d+\.\d+)\b.*)$", told, re.MULTILINE)
    constants = [constant for constant in constants if lines.count(constant[0]) == 1]
    if not constants:
        return Said("I see no constant that I could turn.")
    line, name, value = constants[asked.number % len(constants)]
    turned = f"{float(value) * (0.9 - 0.01 * (asked.number // len(constants))):.6g}"
    if "." not in turned and "e" not in turned:
        turned += ".0"
    idea = f"lower {name} {value} -> {turned}"
    if "response_format" in asked.body:
        return Said(json.dumps({"idea": idea, "expected": -0.001, "changes": [{name: float(turned)}]}))
    new = line.replace(value, turned, 1)
    return Said(
        f"IDEA: {idea}\nEXPECTED: -0.001\n\n<<<<<<< SEARCH\n{line}\n=======\n{new}\n>>>>>>> REPLACE\n"
    )


class ModelServer:
    """Listens on a free port of the loopback while its context lasts."""

    def __init__(self, *script: Reply | Callable[[Asked], Reply]) -> None:
        self.script = script or (sensible,)
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(_TICK_S,), daemon=True)

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": KEY}

    def reply(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        with self._lock:
            asked = Asked(len(self.asked), body, headers)
            self.asked.append(asked)
        step = self.script[min(asked.number, len(self.script) - 1)]
        return step(asked) if callable(step) else step

    def idle(self, seconds: float) -> bool:
        """Wait; true when the server is being closed."""
        return self._closing.wait(seconds)


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/v1/chat/completions":
                self._send(404, _error(f"no such path: {self.path}", "not_found"))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.reply(json.loads(body), headers)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked may have given up
                self._give(reply, json.loads(body)["model"])

        def _give(self, reply: Reply, model: str) -> None:
            match reply:
                case Said():
                    self._send(200, json.dumps(_completion(reply, model)).encode())
                case Status(code, message, kind, headers):
                    self._send(code, _error(message, kind), headers)
                case Raw(body, promised):
                    self._send(200, body, promised=promised)
                case Stall(dribble):
                    self._stall(dribble)
                case _:
                    assert_never(reply)

        def _send(
            self, code: int, body: bytes, headers: dict[str, str] | None = None, promised: int = 0
        ) -> None:
            self.send_response(code)
            told = {"Content-Type": "application/json", "Content-Length": str(len(body) + promised)}
            for name, value in (told | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _stall(self, dribble: bool) -> None:
            if dribble:
                self._send(200, b"", promised=1_000_000)
            while not server.idle(_TICK_S):
                if dribble:
                    self.wfile.write(b" ")

        def log_message(self, format: str, *args: object) -> None:
            """Tests look at `asked` instead."""

    return Handler


def _completion(said: Said, model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": said.text, "refusal": said.refusal}
    out: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": said.finish}],
    }
    if said.usage is not None:
        prompt, completion = said.usage
        total = prompt + completion
        out["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return out


def _error(message: str, kind: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": kind}}).encode()
