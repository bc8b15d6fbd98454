"""The parts of the exam: who is asked for it, what was submitted, the confined model, its answers."""
