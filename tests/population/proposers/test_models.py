"""A language model over real HTTP: what it says, what it costs, and how its failures end."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from population.proposers.models import Failed, Model, Said, check, priced
from population.records import Thought
from population.telling.prompt import Message
from tests.population.model_server import KEY, Asked, ModelServer, Raw, Reply, Stall, Status
from tests.population.model_server import Said as Says
from trainer.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]
HELLO = (Message("system", "Be brief."), Message("user", "Hello?"))
SOON = {"Retry-After": "1"}


def ask(server: ModelServer, model: Model, schema: dict[str, object] | None = None) -> Said | Failed:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        return model.ask(HELLO, 0.5, 7, schema, 100)


def answer(
    *script: Reply, name: str = "openai/test", timeout_s: float = 20.0, retries: int = 0
) -> Said | Failed:
    with ModelServer(*script) as server:
        return ask(server, Model(name, timeout_s, retries))


def failure(*script: Reply, timeout_s: float = 20.0, retries: int = 0) -> str:
    """The reason of an answer that must fail."""
    failed = answer(*script, timeout_s=timeout_s, retries=retries)
    assert isinstance(failed, Failed)
    assert KEY not in failed.reason
    assert failed.reason.isprintable()
    assert len(failed.reason) < 400
    return failed.reason


def test_an_answer_comes_with_its_tokens_and_its_time() -> None:
    said = answer(Says("Hello.", usage=(11, 3)))
    assert isinstance(said, Said)
    assert (said.text, said.finish) == ("Hello.", "stop")
    assert (said.thought.prompt_tokens, said.thought.completion_tokens) == (11, 3)
    assert said.thought.wall_s > 0


def test_a_known_model_has_its_price_and_an_unknown_one_none() -> None:
    known, unknown = answer(Says("Hello."), name="openai/gpt-4o-mini"), answer(Says("Hello."))
    assert known.thought.cost_usd > 0
    assert unknown.thought.cost_usd == 0
    assert priced("openai/gpt-4o-mini") and not priced("openai/test")


def test_the_server_is_told_what_was_asked_and_the_key_goes_in_a_header() -> None:
    with ModelServer(Says("Hello.")) as server:
        ask(server, Model("openai/test"), {"type": "object"})
    body = server.asked[0].body
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.5, 7, 100)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_tokens_are_estimated_where_the_server_does_not_count() -> None:
    thought = answer(Says("four score and seven", usage=None)).thought
    assert (thought.prompt_tokens, thought.completion_tokens) == (5, 6)


@pytest.mark.parametrize(
    ("reply", "finish", "text"),
    [
        (Says("half of", "length"), "length", "half of"),
        (Says(None, refusal="I cannot."), "content_filter", "I cannot."),
        (Says(None, "content_filter"), "content_filter", ""),
        (Says(""), "stop", ""),
    ],
)
def test_an_answer_says_how_it_ended(reply: Reply, finish: str, text: str) -> None:
    said = answer(reply)
    assert isinstance(said, Said)
    assert (said.finish, said.text) == (finish, text)


def test_half_characters_do_not_get_through() -> None:
    said = answer(Raw(b'{"choices": [{"index": 0, "message": {"content": "\\ud83d!"}}]}'))
    assert isinstance(said, Said)
    assert said.text.encode().endswith(b"!")


@pytest.mark.parametrize("hitch", [Status(429, headers=SOON), Status(500, headers=SOON)], ids=["429", "500"])
def test_a_passing_failure_is_waited_out_and_costs_no_tokens(hitch: Reply) -> None:
    begun = time.monotonic()
    said = answer(hitch, Says("Hello.", usage=(11, 3)), retries=1)
    assert isinstance(said, Said)
    assert said.thought.prompt_tokens == 11
    assert time.monotonic() - begun > 1


def test_a_failure_that_stays_is_given_up_after_the_retries() -> None:
    with ModelServer(Status(503, "overloaded\n\x1b[31m", headers=SOON)) as server:
        failed = ask(server, Model("openai/test", retries=1))
    assert len(server.asked) == 2
    assert isinstance(failed, Failed)
    assert failed.reason == "openai/test failed: overloaded [31m"


def test_backoff_does_not_outlast_the_time_there_is() -> None:
    begun = time.monotonic()
    assert "within 2 s" in failure(Status(429, headers={"Retry-After": "50"}), timeout_s=2.0, retries=4)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("dribble", [False, True])
def test_a_server_that_does_not_come_to_an_end_is_given_up_in_time(dribble: bool) -> None:
    begun = time.monotonic()
    assert "gave no answer within 1 s" in failure(Stall(dribble), timeout_s=1.0)
    assert time.monotonic() - begun < 15


NONSENSE = (
    b"<html>Bad gateway</html>",
    b"",
    b"null",
    b"[1, 2]",
    b'{"choices": []}',
    b'{"choices": 3}',
    b'{"choices": [{"message": 3}]}',
    b'{"choices": [{}]}',
    b'{"choices": [{"message": {"content": 3}}], "usage": 4}',
)


@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_no_answer(body: bytes) -> None:
    answered = answer(Raw(body))
    assert isinstance(answered, Failed) or not answered.text


def test_a_body_that_breaks_off_is_no_answer() -> None:
    failure(Raw(b'{"choices": [{"message": ', promised=100))


def test_a_refused_key_is_said_with_the_variable_that_holds_it_and_without_the_key() -> None:
    reason = failure(Status(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"))
    assert "OPENAI_API_KEY" in reason


@pytest.mark.parametrize("code", [400, 404, 500])
def test_a_key_that_a_server_repeats_stays_out_of_the_reason(code: int) -> None:
    assert "***" in failure(Status(code, f"what is {KEY}? and sk-another-key-1234?"))


def test_a_model_that_is_not_there_is_asked_for_once() -> None:
    with ModelServer(Status(404, "no model test", "model_not_found")) as server:
        failed = ask(server, Model("openai/test", retries=3))
    assert isinstance(failed, Failed)
    assert "check the name" in failed.reason
    assert len(server.asked) == 1


def test_too_long_a_prompt_is_told_from_other_failures() -> None:
    long = "This model's maximum context length is 8192 tokens"
    failed = answer(Status(400, long, "context_length_exceeded"), Says("Hello."))
    assert isinstance(failed, Failed) and failed.too_long
    other = answer(Status(500, "something else"))
    assert isinstance(other, Failed) and not other.too_long


@pytest.mark.parametrize("code", [400, 422, 500])
def test_a_server_that_refuses_a_wish_is_asked_for_less_and_remembered(code: int) -> None:
    def strict(asked: Asked) -> Reply:
        form = asked.body.get("response_format", {})
        return Status(code, "unknown: response_format") if form["type"] == "json_schema" else Says("{}")

    with ModelServer(strict) as server:
        model = Model("openai/test", retries=0)
        assert isinstance(ask(server, model, {"type": "object"}), Said)
        asked = len(server.asked)
        assert isinstance(ask(server, model, {"type": "object"}), Said)
    assert server.asked[-1].body["response_format"] == {"type": "json_object", "schema": {"type": "object"}}
    assert len(server.asked) == asked + 1


def test_nobody_listening_is_a_failure_that_names_the_address_as_a_cause() -> None:
    with ModelServer() as server:
        pass
    failed = ask(server, Model("openai/test", retries=0))
    assert isinstance(failed, Failed)
    assert "address" in failed.reason


def test_a_model_survives_pickling_after_use() -> None:
    with ModelServer(Says("Hello.")) as server:
        model = Model("openai/test")
        ask(server, model)
        assert isinstance(ask(server, pickle.loads(pickle.dumps(model))), Said)


@pytest.mark.parametrize("name", ["nonsense", "nobody/model", "openai/", ""])
def test_an_unknown_model_is_refused_with_what_was_expected(name: str) -> None:
    with pytest.raises(BadInput, match="PROVIDER/NAME"):
        check(name)


def test_a_missing_key_is_named_and_a_server_of_ones_own_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match="OPENAI_API_KEY"):
        check("openai/test")
    with pytest.raises(BadInput, match="ANTHROPIC_API_KEY"):
        check("anthropic/claude")
    check("ollama/llama3.2")
    with ModelServer(Says("Hello.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        check("openai/test")
        assert isinstance(Model("openai/test").ask(HELLO, 0.5, 7, None, 100), Said)


QUIET = """
import socket, sys

def refused(*args):
    sys.exit(f"reached for {args}")

import population.beginning.minds, population.proposers.llm
from population.proposers.models import check
assert "litellm" not in sys.modules
socket.socket.connect = socket.getaddrinfo = refused
check("openai/test")
assert "litellm" in sys.modules
"""


def test_litellm_is_imported_on_first_use_without_network_or_a_word() -> None:
    environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", QUIET], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


ASK = """
from population.proposers.models import Model
from population.telling.prompt import Message
Model("openai/test").ask([Message("user", "Hello?")], 0.5, 7, None, 100)
"""


def test_a_program_that_is_interrupted_while_it_waits_for_a_model_ends() -> None:
    with ModelServer(Stall()) as server:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | server.environment
        program = subprocess.Popen([sys.executable, "-c", ASK], env=environment, stderr=subprocess.PIPE)
        while not server.asked:
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        _, told = program.communicate(timeout=30)
    assert b"KeyboardInterrupt" in told
    assert b"destroyed" not in told


def test_a_thought_is_counted_as_nothing_where_nothing_was_answered() -> None:
    failed = answer(Status(500))
    assert failed.thought == Thought(wall_s=failed.thought.wall_s)
