"""Who competes, and what is decided.

The files here are the nouns: `search` is the loop, `records` and `journal` what it writes down, `state` the
fold of that, `policy` what it decides by. A folder beside them holds what one of them is made of, or answers
one question; its first line says which.
"""
