"""What compare.py is made of: runs side by side, one question a file."""
