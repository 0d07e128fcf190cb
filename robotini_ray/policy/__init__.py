"""Contains the policy in the form in which it drives: its spec, its network in NumPy and its files."""
