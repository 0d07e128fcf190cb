"""Holds the files that a run leaves on disk, the reports of its parts and its metrics."""
