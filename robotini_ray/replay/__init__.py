"""Implements the replay: its table, its server, and the learner's estimate of its state."""
