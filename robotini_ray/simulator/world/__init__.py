"""Simulates the world: the physics of the cars, contacts, laps and races, without sockets."""
