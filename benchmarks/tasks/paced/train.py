import time

import prepare

WIDTH = 1.0  # -10 to 10
RATE = 1.0  # -10 to 10
DECAY = 2.0  # -10 to 10

time.sleep(prepare.IMPORTS_S)
prepare.turn()
time.sleep(prepare.COMPILING_S)
prepare.pass_the_budget()
prepare.submit({"WIDTH": WIDTH, "RATE": RATE, "DECAY": DECAY})
