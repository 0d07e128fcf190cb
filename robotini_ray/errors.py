"""What every error for a person has in common."""


class RobotiniError(Exception):
    """Something a person can mend. The message is one line that names the thing, the value and the cure."""
