"""How one genome is trained and examined; knows nothing of who competes."""
