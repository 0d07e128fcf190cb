"""Renders what a car's camera sees of the simulated world."""
