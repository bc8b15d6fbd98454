"""The parts of the exam: who is asked for it, what was submitted, the model in its confinement, its answers."""
