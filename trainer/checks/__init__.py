"""What is found out before the GPU is spent: whether a genome can run, and whether the sandbox holds."""
