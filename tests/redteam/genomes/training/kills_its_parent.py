"""Kills and stops its parent and a bystander, and signals the harness and every process there is.

Those get SIGURG, which does nothing, should it get through.

Expect: honest
"""

import os
import signal

import prepare

bystander, harness = prepare.AIMS["bystander"], prepare.AIMS["harness"]
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
    prepare.attempt(f"send {number.name} to its parent", lambda number=number: os.kill(os.getppid(), number))
    prepare.attempt(f"send {number.name} to another", lambda number=number: os.kill(bystander, number))
prepare.attempt("signal by a descriptor", lambda: signal.pidfd_send_signal(os.pidfd_open(bystander), 15))
prepare.attempt("signal the harness", lambda: os.kill(harness, signal.SIGURG))
prepare.attempt("signal the harness's group", lambda: os.killpg(os.getpgid(harness), signal.SIGURG))
signal.signal(signal.SIGURG, signal.SIG_IGN)
for everyone in (-1, 0):
    os.kill(everyone, signal.SIGURG)  # reaches itself, and so succeeds; the bystander tells whom else
prepare.honest()
