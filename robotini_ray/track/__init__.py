"""Describes a track: its centre line, its racing line and its limit (the lap time of a point mass on that line)."""
