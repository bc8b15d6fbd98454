"""How a run is read."""
