"""Sets its clocks back and its budget to a year, and takes rows for as long as there are any.

They end with the budget all the same: this is harmless, and would time out if they did not.

Budget: 0.3
Expect: honest
"""

import time
from itertools import islice

import prepare

time.monotonic = time.time = time.perf_counter = lambda: 0.0
prepare.BUDGET_S = prepare.STARTUP_S = 3e7
rows = prepare.rows()
table = prepare.learned(islice(rows, prepare.ROWS))
prepare.submit(table)
for _ in rows:
    pass
