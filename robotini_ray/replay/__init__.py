"""The replay: its table, its server and its gauge."""
