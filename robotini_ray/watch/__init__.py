"""A run looked at from the terminal and in the browser."""
