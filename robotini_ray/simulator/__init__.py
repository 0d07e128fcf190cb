"""Provides the embedded simulator, which speaks the Robotini protocol: any Robotini client can drive in it."""
