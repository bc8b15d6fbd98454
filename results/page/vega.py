"""Vega, Vega-Lite and vega-embed as one script, from the copy that vl-convert brings along.

Bundling takes more than a second, so the script is kept in the user's cache, by its version. Where the cache
cannot be written it is bundled by every process anew.
"""

import contextlib
import os
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import vl_convert

_EXPORTS: Final = "window.vegaEmbed = vegaEmbed;"


@lru_cache(maxsize=1)
def vega() -> str:
    """Sets `window.vegaEmbed`, and asks the network for nothing."""
    path = _cache()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    script = vl_convert.javascript_bundle(_EXPORTS)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        aside.write_text(script, encoding="utf-8")
        aside.replace(path)
    return script


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "lineages" / f"vega-{version('vl-convert-python')}.js"
