"""A policy as it drives: its spec, its network in NumPy, its files."""
