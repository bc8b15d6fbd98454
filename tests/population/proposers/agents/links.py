"""Makes train.py something else, as its argument says."""

import os
import sys
from pathlib import Path

genome = Path("train.py")
genome.unlink()
match sys.argv[1]:
    case "link":
        genome.symlink_to("/etc/passwd")
    case "folder":
        genome.mkdir()
    case "pipe":
        os.mkfifo(genome)
    case "huge":
        genome.write_bytes(b"#" * 2**21)
    case "bytes":
        genome.write_bytes(b"RATE = '\xff'\n")
