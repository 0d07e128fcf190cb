"""Computes privileged numbers about a car, which the critic may see although the camera does not show them.

The method is the asymmetric actor-critic (Pinto et al. 2017). The numbers are written to replay and used nowhere else; the
policy acts without them. They need only the spectator stream and the track's file, so the real simulator provides them too.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from robotini_ray.car.state import CarState
from robotini_ray.config import PRIVILEGED_SIZE
from robotini_ray.track.centre_line import WALL_OFFSET_M
from robotini_ray.track.track import Track

TOP_SPEED_M_S = 3.86

AHEAD_M = np.array([0.2, 0.5, 1.0, 1.6, 2.4])
"""The distances ahead of the car, in metres along the centre line, of the curvatures: up to a second at racing speed."""


class PrivilegedView:
    """Computes the privileged numbers of one car from its states, which must be given in order.

    Args:
        track: The track that the car drives on.
    """

    def __init__(self, track: Track) -> None:
        self._track = track
        self._returns = -1
        self._arc_m = 0.0

    def describe(self, state: CarState) -> NDArray[np.float32]:
        """Returns the privileged numbers, ``<float32>[10]``, each roughly in [-1, 1].

        They are, in this order::

            offset from the centre line / 0.44 m    positive to the right
            sine and cosine of the heading error    the car's heading minus the line's; the sine is > 0 if it points right
            speed, forward speed / 3.86 m/s         the second is negative in reverse
            curvatures * 1 m                        of the line 0.2, 0.5, 1, 1.6 and 2.4 m ahead; a right turn is positive

        The car's place is searched for near that of the last call, unless the car was put back in between.
        """
        near_arc_m = self._arc_m if state.returns == self._returns else None
        place = self._track.locate(state.x, state.z, near_arc_m, y=state.y)
        self._arc_m, self._returns = place.arc_m, state.returns
        heading_error_rad = state.heading_rad - place.heading_rad
        described = np.empty(PRIVILEGED_SIZE, np.float32)
        described[:5] = (
            place.offset_m / WALL_OFFSET_M,
            math.sin(heading_error_rad),
            math.cos(heading_error_rad),
            state.speed_m_s / TOP_SPEED_M_S,
            state.forward_speed_m_s / TOP_SPEED_M_S,
        )
        described[5:] = self._track.curvatures_at(place.arc_m + AHEAD_M)
        return described
