"""What the optimiser of constants knows: the space they span, and what moving them did."""
