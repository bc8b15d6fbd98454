"""Constants as knobs: the space they span, what moving them did, and which of them make a schedule."""
