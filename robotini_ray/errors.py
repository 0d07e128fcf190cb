"""Defines the base class of the errors that are shown to the user."""


class RobotiniError(Exception):
    """Base class of errors that the user can fix; the message is one line that names the thing, the value and the cure."""
