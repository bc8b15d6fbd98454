r"""Makes empty files without end: they take no room, only all the names there are.

Expect: crashed, more than \d+ files
"""

import time
from pathlib import Path

for number in range(6000):  # for this machine's sake
    Path(str(number)).write_text("")
time.sleep(60)
