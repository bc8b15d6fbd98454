"""Whether this machine is ready for a run: one question a file, and what to do where the answer is no."""
