"""How one process is started, watched, heard and ended, whatever it does."""
