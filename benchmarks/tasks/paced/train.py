import time

import prepare

WIDTH = 1.0  # -10 to 10
DEPTH = 1.0  # -10 to 10
HEADS = 1.0  # -10 to 10
WINDOW = 1.0  # -10 to 10
RATE = 1.0  # -10 to 10
WARMUP = 1.0  # -10 to 10
COOLDOWN = 1.0  # -10 to 10
DECAY = 2.0  # -10 to 10
MOMENTUM = 1.0  # -10 to 10
BATCH = 1.0  # -10 to 10
CLIP = 1.0  # -10 to 10
SCALE = 1.0  # -10 to 10

time.sleep(prepare.IMPORTS_S)
prepare.turn()
time.sleep(prepare.COMPILING_S)
values = {name: value for name, value in globals().items() if name in prepare.BEST}
prepare.pass_the_budget(values)
prepare.submit(values)
