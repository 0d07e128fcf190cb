"""Checks a machine and a config before a run, with one small function per check, grouped by subject."""
