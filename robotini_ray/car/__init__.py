"""One car as a client of the Robotini simulator sees it: its socket, the spectator stream, its state and its laps.

Nothing here imports TensorFlow or Ray, and nothing imports the embedded simulator: the same client drives against both.
"""
