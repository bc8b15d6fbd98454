"""What a process takes upon itself before it runs a stranger's code: limits, rules, and an end."""
