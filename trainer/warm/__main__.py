"""The fork server as a script, so that copies find no part of it in the place of their own `__main__`.

python trainer/warm HARNESS CHANNEL MODULE...
"""

import os
import sys

FOUND = sys.path[1:]  # what any Python program finds there beside its own folder
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

from trainer.warm.server import main  # noqa: E402

main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:], FOUND)
