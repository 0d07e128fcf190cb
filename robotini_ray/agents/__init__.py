"""Implements the learning algorithms on top of TF-Agents' agents and networks."""
