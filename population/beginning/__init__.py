"""How a run is begun or taken up again: what is asked for, who thinks, and all that is held open."""
