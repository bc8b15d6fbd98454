"""A language model, asked over the network: the only caller of litellm.

Any model that litellm knows by name will do (`openai/NAME`, `anthropic/NAME`, `ollama/NAME` ...). Addresses
and keys come from the environment variables that litellm reads, `OPENAI_BASE_URL` for a server of one's own
among them. What goes wrong with a provider is a value, `Failed`. Importing litellm takes seconds, so only the
first call does; it must not reach for the network then, and its table of prices is the one it came with.

Retried, with litellm's own backoff (0.5 s doubling to 8 s, or what Retry-After says up to a minute): rate
limits, 5xx, lost connections and bodies that are no answer. Not retried: keys, names and requests that are
refused. `timeout_s` bounds all of it together, also where a server sends a byte now and then. What a provider
charges for a call that was given up is not known and not counted.
"""

import asyncio
import atexit
import functools
import os
import re
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from types import ModuleType
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from population.records import Thought
from population.telling.prompt import Message, tokens
from trainer.errors import BadInput

RETRIES: Final = 4
_END_S: Final = 10.0  # that the loop may take to end
_ENVIRONMENT: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it is fetched at import
    "LITELLM_MODE": "PRODUCTION",  # else a .env file found on the way up is loaded
    "LITELLM_LOG": "CRITICAL",
}
_LONGEST: Final = 240  # characters of a provider's words that are passed on
_SECRET: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_LIKE_A_KEY: Final = re.compile(r"\b(?:sk|pk|key|Bearer)[-_ ][^\s'\"]{6,}")
# These find their credentials and addresses elsewhere too (cloud profiles, the usual local port).
_SELF_SUFFICIENT: Final = {"bedrock", "vertex_ai", "sagemaker", "ollama", "ollama_chat"}


class Said(Struct, frozen=True):
    """An answer. `finish` is litellm's: `stop`, `length` (cut off), `content_filter` (also for a refusal)."""

    text: str
    finish: str
    thought: Thought


class Failed(Struct, frozen=True):
    """No answer; `reason` is one line that says how to mend it. `too_long`: a shorter prompt may do."""

    reason: str
    thought: Thought
    too_long: bool = False


class Model:
    """One model by litellm's name for it. Holds nothing that cannot be pickled."""

    def __init__(self, name: str, timeout_s: float = 300.0, retries: int = RETRIES) -> None:
        self.name, self.timeout_s, self.retries = name, timeout_s, retries
        self._granting: dict[int, int] = {}  # how much its server grants, so as not to ask in vain each time

    def ask(
        self,
        messages: Sequence[Message],
        temperature: float,
        seed: int,
        schema: dict[str, Any] | None,
        most_tokens: int,
    ) -> Said | Failed:
        """Have these messages answered, in JSON after `schema` if there is one, in at most `most_tokens`.

        A provider that does not know temperature, seed or schema answers without: litellm leaves out what it
        knows to be missing, and a server that refuses the request is asked for less.
        """
        begun = time.monotonic()
        request: dict[str, Any] = {"messages": [{"role": m.role, "content": m.content} for m in messages]}
        request["max_tokens"] = _affordable(self.name, most_tokens)
        if self.name.startswith("ollama"):  # which would drop the head of a prompt longer than its default
            request["num_ctx"] = _tokens(request["messages"]) * 3 // 2 + most_tokens
        answered = self._answered(request, _wishes(temperature, seed, schema))
        with warnings.catch_warnings(action="ignore"):  # of litellm's types, at its first calls
            future = asyncio.run_coroutine_threadsafe(answered, _loop(os.getpid()))
            try:
                answer = future.result()
            finally:
                future.cancel()  # of an answer that nobody waits for any more
        return replace(answer, thought=replace(answer.thought, wall_s=time.monotonic() - begun))

    async def _answered(self, request: dict[str, Any], wishes: list[dict[str, Any]]) -> Said | Failed:
        litellm = _litellm()
        try:
            async with asyncio.timeout(self.timeout_s):
                response = await self._granted(request, wishes)
        except TimeoutError:
            return Failed(f"{self.name} gave no answer within {self.timeout_s:g} s", Thought())
        except litellm.exceptions.openai.OpenAIError as error:
            return _failed(self.name, error)
        return _said(response, request["messages"])

    async def _granted(self, request: dict[str, Any], wishes: list[dict[str, Any]]) -> Any:
        """litellm's response to the first of these wishes that the server does not refuse."""
        litellm = _litellm()
        final = (litellm.ContextWindowExceededError, litellm.ContentPolicyViolationError)
        for number in range(self._granting.get(len(wishes), 0), len(wishes)):
            try:
                response = await self._called(request | wishes[number])
            except litellm.exceptions.openai.APIStatusError as error:
                refused = error.status_code in (400, 422) or "response_format" in str(error)
                if not refused or isinstance(error, final) or number == len(wishes) - 1:
                    raise
            else:
                self._granting[len(wishes)] = number
                return response
        raise AssertionError("the last wish is granted or refused")

    async def _called(self, request: dict[str, Any]) -> Any:
        """litellm's response, after its retries. Raises an error of openai's family, and no other."""
        litellm = _litellm()
        parameters = {"model": self.name, "timeout": self.timeout_s} | _key(self.name)
        router = litellm.Router(  # made anew each time: it must not remember failures
            model_list=[{"model_name": self.name, "litellm_params": parameters}],
            num_retries=self.retries,
            disable_cooldowns=True,
        )
        try:
            response = await router.acompletion(model=self.name, **request)
        finally:
            router.discard()  # or litellm keeps it, with all that it is to call back
        if response is None:  # its way with status 422
            raise litellm.BadRequestError("the request was refused", self.name, _provider(self.name))
        return response


def check(name: str) -> None:
    """Raise BadInput if there is no such provider, or if its key is not in the environment. No network."""
    litellm = _litellm()
    provider = _provider(name)
    if not provider or not name.rpartition("/")[2]:
        raise BadInput(
            f"--model {name!r}: expected PROVIDER/NAME as litellm knows them, such as anthropic/NAME, "
            "ollama/NAME or, for a server of your own, openai/NAME with OPENAI_BASE_URL"
        )
    missing = [] if provider in _SELF_SUFFICIENT else litellm.validate_environment(name)["missing_keys"]
    if missing and not _key(name):
        raise BadInput(f"--model {name!r} needs {' and '.join(missing)} in the environment")


def priced(name: str) -> bool:
    """Whether litellm knows what the model costs; one that has no price counts as free. No network."""
    return "input_cost_per_token" in _known(name)


@functools.cache
def _litellm() -> ModuleType:
    """litellm: quiet, without network, and tolerant of what a model does not know."""
    os.environ.update(_ENVIRONMENT)
    with warnings.catch_warnings(action="ignore"):
        import litellm
    warnings.filterwarnings("ignore", "Pydantic serializer warnings")  # of odd replies, while it takes notes
    litellm.suppress_debug_info = True
    litellm.drop_params = True
    litellm.disable_aiohttp_transport = True  # httpx closes what a cancelled call leaves
    return litellm


@functools.cache
def _loop(pid: int) -> asyncio.AbstractEventLoop:
    """The loop of this process that all models are asked on.

    It outlasts the calls, since litellm's connections and what it still has to note belong to it. It is ended
    before the interpreter is: a thread that is stopped in the middle of an import hangs the exit.
    """
    begun: Future[asyncio.AbstractEventLoop] = Future()
    over = asyncio.Event()

    async def live() -> None:
        begun.set_result(asyncio.get_running_loop())
        await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(live(),), name="models", daemon=True)
    thread.start()
    loop = begun.result()

    def end() -> None:
        loop.call_soon_threadsafe(over.set)
        thread.join(_END_S)

    atexit.register(end)
    return loop


def _provider(name: str) -> str:
    """litellm's name of who serves a model; empty if it knows nobody."""
    litellm = _litellm()
    try:
        return str(litellm.get_llm_provider(name)[1])
    except litellm.BadRequestError:
        return ""


def _key(name: str) -> dict[str, str]:
    """A stand-in for the key where a server of one's own needs none, since the client insists on one."""
    own = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    keyless = own and not os.environ.get("OPENAI_API_KEY") and _provider(name) == "openai"
    return {"api_key": "none"} if keyless else {}


def _wishes(temperature: float, seed: int, schema: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What a server is asked for beside an answer: everything, and less and less where it refuses."""
    usual = {"temperature": temperature, "seed": seed}
    if schema is None:
        return [usual, {}]
    openai = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    llama = {"type": "json_object", "schema": schema}
    return [usual | {"response_format": openai}, usual | {"response_format": llama}, {}]


def _affordable(name: str, most_tokens: int) -> int:
    """No more than the model can say at once, where litellm knows that; more would be refused."""
    limit = _known(name).get("max_output_tokens")
    return min(most_tokens, limit) if isinstance(limit, int) else most_tokens


def _known(name: str) -> dict[str, Any]:
    """What litellm's table of models says of one; empty if it is not there."""
    table: dict[str, dict[str, Any]] = _litellm().model_cost
    return table.get(name) or table.get(name.partition("/")[2]) or {}


def _said(response: Any, messages: list[dict[str, str]]) -> Said | Failed:
    usage = getattr(response, "usage", None)
    prompt, completion = getattr(usage, "prompt_tokens", 0), getattr(usage, "completion_tokens", 0)
    cost_usd = response._hidden_params.get("response_cost") or 0.0  # none for a model without a price
    if not response.choices:
        return Failed("the answer held nothing", Thought(prompt or 0, completion or 0, cost_usd))
    choice = response.choices[0]
    message = choice.message
    text = (message.content or "").encode("utf-8", "replace").decode()  # no half characters
    if not prompt and not completion:
        prompt, completion = _tokens(messages), tokens(text)
    elsewhere = message.get("provider_specific_fields") or {}  # where older versions of litellm put refusals
    refused = message.get("refusal") or elsewhere.get("refusal")
    finish = "content_filter" if refused else str(choice.finish_reason)
    return Said(text or refused or "", finish, Thought(prompt or 0, completion or 0, cost_usd))


def _tokens(messages: list[dict[str, str]]) -> int:
    """An estimate, for servers that do not count."""
    return sum(tokens(message["content"]) for message in messages)


def _failed(name: str, error: Exception) -> Failed:
    litellm = _litellm()
    words = _words(str(error))
    match error:
        case litellm.AuthenticationError() | litellm.PermissionDeniedError():
            variable = f"{_provider(name).upper()}_API_KEY"
            reason = f"{name} refused the key: check the environment variable it is read from ({variable})"
        case litellm.ContextWindowExceededError():
            return Failed(f"{name} cannot take in so long a prompt: {words}", Thought(), too_long=True)
        case litellm.ContentPolicyViolationError():
            reason = f"{name} refused by its provider's policy: {words}"
        case litellm.NotFoundError():
            reason = f"{name} is not there: check the name and the address: {words}"
        case litellm.RateLimitError():
            reason = f"{name} is out of quota or asked too often: {words}"
        case litellm.Timeout():
            reason = f"{name} timed out: {words}"
        case _ if "Connection error" in words:
            reason = f"{name} cannot be reached: check the network and the address"
        case _:
            reason = f"{name} failed: {words}"
    return Failed(reason, Thought())


def _words(told: str) -> str:
    """A provider's words as one short line without keys: they are a stranger's, and go into tables."""
    told = told.partition("LiteLLM: model group")[0]
    told = re.sub(r"^(?:litellm\.)?(?:\w+Error: |\w+Exception - |litellm\.)+", "", told)
    secrets = [value for name, value in os.environ.items() if _SECRET.search(name) and len(value) > 5]
    for secret in sorted(secrets, key=len, reverse=True):
        told = told.replace(secret, "***")
    told = _LIKE_A_KEY.sub("***", told)
    line = " ".join("".join(c if c.isprintable() else " " for c in told).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
