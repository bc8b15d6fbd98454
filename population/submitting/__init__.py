"""Ideas that are sent to a running scheduler: how they are sent, wait, and what they come to."""
