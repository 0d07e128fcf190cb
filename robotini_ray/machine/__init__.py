"""Contains helpers for processes, ports, the terminal, Redis and numba that do not depend on racing."""
