"""What a mind that reads is told: the job, the brief, the file, and what was tried. Pure."""
