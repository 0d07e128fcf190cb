"""Processes, ports, terminal, Redis server, compiled functions: what knows nothing of racing."""
