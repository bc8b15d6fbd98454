"""What state.py folds a journal into, and what may follow what in one."""
