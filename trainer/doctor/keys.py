"""Which models could be asked? By the names of environment variables: no key is ever shown or sent."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from trainer.doctor.finding import Finding

NAMES = ("HF_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS")  # beside *_API_KEY
ADDRESSES = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_API_BASE")


def keys() -> Finding:
    """Keys and addresses of this environment."""
    return judged(os.environ)


def judged(environment: Mapping[str, str]) -> Finding:
    """What an environment offers to models."""
    named = sorted(name for name in environment if name.endswith("_API_KEY") or name in NAMES)
    broken = [name for name in named if not environment[name] or _padded(environment[name])]
    given = {name: _address(environment[name]) for name in ADDRESSES if environment.get(name)}
    faults = [f"{name} is empty or has blanks around it" for name in broken]
    faults += [f"{name} is no http address" for name, address in given.items() if not address]
    usable = [name for name in named if name not in broken]
    usable += [f"{name}={address}" for name, address in given.items() if address]
    listed = ", ".join(usable)
    if faults:
        beside = f"; there is {listed}" if listed else ""
        return Finding("keys", "warning", "; ".join(faults) + beside, "set it anew, or unset it")
    if not listed:
        return Finding("keys", "ok", "none set; mutate, agents and a local ollama need none")
    return Finding("keys", "ok", f"{listed} (not tried)")


def _padded(text: str) -> bool:
    return text != text.strip()


def _address(text: str) -> str:
    """Scheme, host and port of an address, without the user and password it may hold; "" if it is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")
