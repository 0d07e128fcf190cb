"""The embedded simulator: any Robotini client takes it for the real one."""
