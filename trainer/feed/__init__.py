"""How data and the clock reach a training."""
