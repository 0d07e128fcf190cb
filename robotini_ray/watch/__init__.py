"""Shows a run in the terminal and in the browser."""
