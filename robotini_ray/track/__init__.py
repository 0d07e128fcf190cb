"""Describes a track: its centre line, its racing line and its limit (the lowest lap time that it allows)."""
