"""What policy.py is made of: rules, limits, who is asked, who gets the GPU, and what is said of a trial."""
