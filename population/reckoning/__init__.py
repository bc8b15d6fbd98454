"""What a run came to: where the time of its GPUs went, and what it may claim."""
