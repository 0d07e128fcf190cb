"""What the simulator tells of a car and the camera does not: for critics that may look (Pinto et al. 2017, asymmetric
actor-critic). It goes into replay and nowhere else; the policy acts without it.

It needs the spectator stream and the track's file, and so can be had of the real simulator too.
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
"""Where along the centre line, from the car's place, the curvature is told: up to a second ahead at racing speed."""


class PrivilegedView:
    """Describes one car, state by state.

    Args:
        track: that it drives on.
    """

    def __init__(self, track: Track) -> None:
        self._track = track
        self._returns = -1
        self._arc_m = 0.0

    def describe(self, state: CarState) -> NDArray[np.float32]:
        """``<float32>[10]``, each around [-1, 1]::

            place across the track / 0.44 m     right is positive
            sine, cosine                        of the car's heading against the line's; a car that points right has sine > 0
            speed, forward speed / 3.86 m/s     the second is negative in reverse
            curvatures * 1 m                    of the centre line 0.2, 0.5, 1, 1.6 and 2.4 m on, a right turn positive

        The place is looked for near that of the last call, unless the car was put back on the track in between.
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
