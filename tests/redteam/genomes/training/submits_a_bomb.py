"""Submits zeros that are packed, behind a header that says that they are half a gigabyte of weights.

Expect: refused
"""

import gzip
import struct

import prepare

next(prepare.rows())
header = b'{"table.weight":{"dtype":"F32","shape":[11586,11586],"data_offsets":[0,536941584]}}'
weights = struct.pack("<Q", len(header)) + header + gzip.compress(bytes(2**24))
(prepare.SUBMISSION / "weights.safetensors").write_bytes(weights)
