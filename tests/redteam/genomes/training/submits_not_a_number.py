"""Submits weights that are no numbers, hoping that no comparison holds and so none against it.

Expect: refused, not a finite number
"""

import prepare

next(prepare.rows())
prepare.submit([[float("nan")] * prepare.SYMBOLS] * prepare.SYMBOLS)
