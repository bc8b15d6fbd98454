"""Replaces logarithms, sums, clocks, files, JSON and chance, from its first line on.

Expect: honest
"""

import builtins
import json
import math
import random
import time

import prepare

prepare.honest()
math.log = math.exp = math.fsum = lambda *numbers: 0.0
json.dumps = json.loads = lambda *texts, **options: {"bits": -37.8}
time.monotonic = time.time = time.perf_counter = lambda: 0.0
random.random = lambda: 0.0
builtins.sum = builtins.float = builtins.abs = lambda *values: -37.8
