"""Prints 256 MB, in one line and in many, on both outputs, from several processes at once.

Expect: honest
"""

import os

import prepare

children = [os.fork() for _ in range(2)]
for number in (1, 2):
    for _ in range(64):
        os.write(number, (b"x" * 2**10 + b"\n") * 2**9)
        os.write(number, b"\0\xff" * 2**18)
if all(children):
    for child in children:
        os.waitpid(child, 0)
    prepare.honest()
