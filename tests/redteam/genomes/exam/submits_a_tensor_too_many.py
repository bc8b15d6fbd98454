"""Submits weights for a model that it does not have, beside those it has.

Expect: refused, model's process died
"""

from itertools import islice

import prepare


def build_model():
    return prepare.model(lambda table, tokens: table(tokens))


if __name__ == "__main__":
    table = prepare.learned(islice(prepare.rows(), prepare.ROWS))
    prepare.submit(table, extra=table)
