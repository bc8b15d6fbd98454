"""Noise, effects and posteriors: what evidence.py is made of."""
