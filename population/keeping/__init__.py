"""What a run keeps: the folder with what was asked for, and the locks that make it the only one."""
