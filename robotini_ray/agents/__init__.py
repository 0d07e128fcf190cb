"""Learning algorithms, on TF-Agents' agents and networks."""
