"""Implements the monitor: a live web page that shows a run, its cars and its learning curves."""
