"""A track: its centre line, its racing line, and the lowest lap time that it allows."""
