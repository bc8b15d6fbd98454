"""The page of a run: one file that asks the network for nothing, for whoever comes back in the morning."""
