"""Trains, prints a score and leaves no weights.

Expect: crashed, left no submission
"""

import prepare

next(prepare.rows())
print("bits: 0.001")
