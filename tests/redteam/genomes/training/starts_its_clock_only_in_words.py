"""Says by telemetry that its clock runs, to get a budget for its start-up.

Startup: 0.7
Expect: timed_out, startup was not over
"""

import os
import time

os.write(int(os.environ["LINEAGES_TELEMETRY"]), b'{"event": "clock"}\n')
time.sleep(1000)
