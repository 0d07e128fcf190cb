"""Turns the parts into one program: declares, places, starts and supervises them, with Ray."""
