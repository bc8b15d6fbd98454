"""What all tests share, before any of them imports torch."""

import os

# The tensors of tests are small: on a machine with anything else to do, a second thread is waited for longer
# than it saves. Processes that tests start inherit this; a trial is told its own number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
