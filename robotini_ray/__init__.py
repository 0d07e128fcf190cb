"""Distributed training of race cars for the Robotini Racing Simulator."""

__version__ = "0.1.0"
