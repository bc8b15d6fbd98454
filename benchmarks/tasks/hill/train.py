import json
import os
import pathlib

X = 3.0  # -10 to 10
Y = -4.0  # -10 to 10
RATE = 0.5  # 0.0001 to 1, log
WIDTH = 256  # 8 to 1024, power of two

point = {"x": X, "y": Y, "rate": RATE, "width": WIDTH}
(pathlib.Path(os.environ["LINEAGES_SUBMISSION"]) / "point.json").write_text(json.dumps(point))
