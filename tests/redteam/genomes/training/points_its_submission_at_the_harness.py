"""Puts a link to /proc/self in the place of its submission: who reads that is long at it, and reads itself.

Budget: 0.2
Expect: refused, not a folder
"""

import time

import prepare

next(prepare.rows())
prepare.SUBMISSION.rmdir()
prepare.SUBMISSION.symlink_to("/proc/self")
time.sleep(1.2)
