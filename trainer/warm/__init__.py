"""Warm processes: a trial's processes as copies of one that has imported what they need, torch above all.

A **fork server** (`server.py`, started by `harness.py`) imports, and then does nothing but fork when it is
asked to (`forks.py`). Every copy reads its own order, which the server therefore never sees, and becomes a
supervisor with a command below it (`child.py`), for which `trainer.running.launch.cold` starts interpreters.
The examiner forks a server of its own before it knows anything, and has its model servers from there: a copy
of the examiner would hold what they are examined on.

A fork server runs nothing of a candidate's, so no candidate can change what a later one runs on. It has one
thread, has computed nothing, touched no CUDA device, read no data and knows no key. Its socket is closed in
every copy before that does anything, and whatever is confined can neither signal it nor look into it.

What a new program would begin afresh, a copy has to: its environment, descriptors, session, random numbers,
privileges, visibility, modules of the harness (removed). What is not as in a new program:

- Libraries have read the environment when they were loaded: a candidate that sets OMP_NUM_THREADS before it
  imports torch is not heard. `torch.set_num_threads` is.
- Addresses are those of the fork server: who learns them in one trial knows them in the next.
- /proc shows the fork server's command line and first environment for all copies.
"""
