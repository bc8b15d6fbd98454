"""Works for longer than a start-up may take before it asks for its first row.

Startup: 0.7
Expect: timed_out, startup was not over
"""

import time

import prepare

time.sleep(1000)
prepare.honest()
