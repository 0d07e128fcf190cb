"""Contains the client side of the Robotini simulator for one car: its socket, the spectator stream, its state and its laps.

No module here imports TensorFlow or Ray, and none imports the embedded simulator: the same client drives on the embedded
simulator and on Unity's.
"""
