"""Who competes, and what is decided."""
