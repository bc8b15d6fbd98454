"""Keeps its rows and goes on learning from them when no more are handed out; submits what it has then.

Budget: 0.2
Expect: refused, came .* s after the budget ended
"""

import time
from itertools import islice

import prepare

kept = list(islice(prepare.rows(), prepare.ROWS))
time.sleep(1.2)
prepare.submit(prepare.learned(kept * 50))
