"""Fills its folder with links to files and folders of others, for whoever removes or opens it later.

Expect: honest
"""

import os
from pathlib import Path

import prepare

home, earlier = Path(prepare.AIMS["home"]), Path(prepare.AIMS["earlier"])
for name, target in (("home", home), ("earlier", earlier), ("up", ".."), ("exam", home), ("loop", "loop")):
    Path(name).symlink_to(target)
for name in ("prepare.py", "train.py"):
    Path(name).unlink()
    Path(name).symlink_to(home / ".netrc")
for name in ("-rf", "--", "a\nb", "\x1b[2J", "x" * 255):
    Path(name).mkdir()
    Path(name, "home").symlink_to(home)
os.umask(0o777)
Path("closed").mkdir()
os.umask(0o022)
prepare.attempt("link a file of others", lambda: os.link(home / ".netrc", "mine"))
prepare.honest()
