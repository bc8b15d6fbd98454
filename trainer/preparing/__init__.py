"""What `python prepare.py` fetches and makes, once, before any run."""
