r"""Submits more files than anyone would look through.

Expect: refused, holds \d+ files
"""

import prepare

prepare.honest()
for number in range(1500):
    (prepare.SUBMISSION / f"{number}").write_text("")
