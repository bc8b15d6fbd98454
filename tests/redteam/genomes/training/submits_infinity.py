"""Submits weights that are endlessly sure of everything.

Expect: refused, finite
"""

import prepare

next(prepare.rows())
prepare.submit([[float("inf")] * prepare.SYMBOLS] * prepare.SYMBOLS)
