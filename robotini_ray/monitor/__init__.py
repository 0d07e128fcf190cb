"""The monitor: a web page that shows a run, its cars and its curves, live."""
