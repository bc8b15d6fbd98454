"""Genomes as trees of definitions and statements: what genome.py and merging.py are made of."""
