"""Does what it is asked: reads its desk, changes one constant, says so. Mends what it was told to mend."""

import sys
from pathlib import Path

prompt = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else sys.stdin.read()
for name in ("RULES.md", "program.md", "NOTEBOOK.md"):
    assert f".lineages/{name}" in prompt and Path(".lineages", name).read_text().strip(), name
genome = next(path for path in (Path("trainer/train.py"), Path("train.py")) if path.exists())
text = genome.read_text()
genome.write_text(text.replace("RATE = 0.25", "RATE = 0.125").replace("RATE = 0.5", "RATE = 0.25"))
Path(".lineages/IDEA.txt").write_text("halve RATE: it overshoots\n-0.125\n")
print("I have halved the rate.")
