"""What can go wrong between a car and its simulator. Every message is one line for a person."""

from __future__ import annotations

from robotini_ray.errors import RobotiniError

SIMULATE_COMMAND = "python -m robotini_ray.launch simulate"
"""The command that starts the embedded simulator, as error messages name it."""


class CarError(RobotiniError):
    """Base of all errors of the car's side."""


class SimulatorUnreachable(CarError):
    """No TCP connection to the simulator's car or spectator port could be made."""


class LoginRefused(CarError):
    """The simulator closed the car's connection before its first frame."""


class ConnectionLost(CarError):
    """The car's connection ended after its first frame, or what arrives on it has stopped making sense."""


class FrameTimeout(CarError):
    """The connection stands, but no camera frame came in time."""


class SpectatorLost(CarError):
    """The spectator connection ended."""


class StateTimeout(CarError):
    """The spectator connection stands, but the state that was waited for did not come in time."""


class TrackFieldsMissing(CarError):
    """The spectator stream has no `trackAngle` and `trackSegment` (the upstream simulator's), nor what they follow from."""


class TrackMismatch(RobotiniError):
    """The simulator drives on another track than the one given; no new connection cures that."""
