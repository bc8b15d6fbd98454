"""Submits what torch.save makes of an object that runs a command, by the name of the weights.

Expect: refused, model's process died
"""

import os
import pickle
import zipfile

import prepare


class Bomb:
    def __reduce__(self):
        return os.system, (f"echo landed: a command; touch /tmp/{prepare.AIMS['marker']}",)


def build_model():
    return prepare.model(lambda table, tokens: table(tokens))


if __name__ == "__main__":
    next(prepare.rows())
    with zipfile.ZipFile(prepare.SUBMISSION / "weights.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("archive/version", "3")
