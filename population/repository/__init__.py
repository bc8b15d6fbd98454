"""The repository: genomes as commits, what git shows of a run, and the working trees beside it."""
