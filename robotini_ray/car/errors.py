"""Defines the errors between a car and its simulator. Every message is one line that is written for a person."""

from __future__ import annotations

from robotini_ray.errors import RobotiniError

FAULTS = (
    "unreachable",  # an attempt to reconnect was refused or timed out
    "login_refused",  # the simulator closed a car's connection before its first frame
    "dropped",  # a car's connection ended after its first frame
    "stalled",  # a car received no frame for too long, though its connection stayed open
    "bad_frame",  # a frame was refused before decoding, or could not be decoded
    "bad_line",  # a line of the spectator stream was not an event, or the event lacked fields
    "spectator_lost",  # the spectator connection ended or fell silent
)
"""The causes under which faults are counted in reports, ``summary.json``, TensorBoard and the cars' live state."""


class CarError(RobotiniError):
    """The base class of all errors on the car's side of the connection.

    Attributes:
        fault: The error's cause, one of ``FAULTS``; empty if the code that raises the error has already counted the fault.
    """

    fault = ""


class SimulatorUnreachable(CarError):
    """No TCP connection to the simulator's car or spectator port could be made."""

    fault = "unreachable"


class LoginRefused(CarError):
    """The simulator closed the car's connection before its first frame."""


class ConnectionLost(CarError):
    """The car's connection ended after its first frame, or the data that arrives on it is not valid any more."""

    fault = "dropped"


class FrameTimeout(CarError):
    """The connection is open, but no camera frame arrived in time."""


class SpectatorError(CarError):
    """The spectator stream is unusable at the moment; the car's own connection may still be open."""

    fault = "spectator_lost"


class SpectatorLost(SpectatorError):
    """The spectator connection ended, or delivers no data."""


class StateTimeout(SpectatorError):
    """The spectator connection is open, but the expected state did not arrive in time."""


class TrackFieldsMissing(SpectatorError):
    """The spectator stream lacks ``trackAngle`` and ``trackSegment``, and they cannot be computed either.

    The upstream simulator does not send them. Computing them takes the track file and a ``RaceParameters`` event.
    """


class TrackMismatch(RobotiniError):
    """The simulator uses another track than the one given; reconnecting does not help."""


class SegmentsRefused(RobotiniError):
    """The simulator divides its track into a number of segments by which laps cannot be counted; reconnecting does not help."""
