"""Checks of a machine and a config before a run: one small function each, grouped by what they look at."""
