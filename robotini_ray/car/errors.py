"""What can go wrong between a car and its simulator. Every message is one line for a person."""

from __future__ import annotations

from robotini_ray.errors import RobotiniError

SIMULATE_COMMAND = "python -m robotini_ray.launch simulate"
"""The command that starts the embedded simulator, as error messages name it."""


FAULTS = (
    "unreachable",  # an attempt to reconnect found nobody
    "login_refused",  # closed before the first frame
    "dropped",  # a car's connection ended after its first frame
    "stalled",  # a car had no frame for too long, though its connection stood
    "bad_frame",  # refused before decoding, or not to be decoded
    "bad_line",  # of the spectator stream: no event, or one without its fields
    "spectator_lost",  # the spectator connection ended or fell silent
)
"""The causes under which faults are counted, in reports, summary.json, TensorBoard and the cars' live state."""


class CarError(RobotiniError):
    """Base of all errors of the car's side.

    ``fault`` is its cause among ``FAULTS``; empty where whoever raises it has counted the fault before.
    """

    fault = ""


class SimulatorUnreachable(CarError):
    """No TCP connection to the simulator's car or spectator port could be made."""

    fault = "unreachable"


class LoginRefused(CarError):
    """The simulator closed the car's connection before its first frame."""


class ConnectionLost(CarError):
    """The car's connection ended after its first frame, or what arrives on it has stopped making sense."""

    fault = "dropped"


class FrameTimeout(CarError):
    """The connection stands, but no camera frame came in time."""


class SpectatorError(CarError):
    """The spectator stream is of no use at the moment; the car's own connection may well stand."""

    fault = "spectator_lost"


class SpectatorLost(SpectatorError):
    """The spectator connection ended, or has nothing to say."""


class StateTimeout(SpectatorError):
    """The spectator connection stands, but the state that was waited for did not come in time."""


class TrackFieldsMissing(SpectatorError):
    """The spectator stream has no `trackAngle` and `trackSegment` (the upstream simulator's), nor what they follow from."""


class TrackMismatch(RobotiniError):
    """The simulator drives on another track than the one given; no new connection cures that."""
