"""Computes the racing line of a track for a point mass, and its lap time.

The path crosses *stations*, lines perpendicular to the centre line every 0.025 m. The unknowns are, for each station, the
place where the path crosses it (metres right of the centre line) and the time to the next one. The lap time, the sum of
these times, is minimised subject to

- top speed: the mean velocity from each station to the next is at most 3.86 m/s;
- grip: the change of that velocity at each station is at most 9.81 m/s^2 times the time between the middles of
  the two steps, in any direction (a friction circle);
- width: the path stays within 0.38 m of the centre line.

For a track with height, its plan (the view from above) is solved, so slopes count as level. The real path is longer, by
0.4 % at 5 degrees, and gravity and crests change the grip: on such tracks the limit is a rougher reference.

Inside a bend tighter than 0.38 m the stations meet in one point, and the path must stay on this side of it, although a
quicker path may lead across. The lap ends as it begins: a single flying lap that begins faster than it ends can be 0.2 %
quicker. So the lap time is that of the best path of this kind, and no lower bound of all laps.

A velocity that changes linearly from the middle of a step to the middle of the next keeps the grip limit at every
instant, so a solution is a lap that can be driven, not merely an estimate of one.

The solver is a primal-dual interior-point method (``robotini_ray.track.interior_point``), started from a slow lap of the
centre line. Its lap times agree with IPOPT's for the same problem to 0.01 %, and halving the distance between
stations changes them by less than 0.1 % (1 % where bends have a radius of 0.1 m).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from robotini_ray.track.interior_point import Constraints, ConvergenceError, minimise
from robotini_ray.track.track import Track

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.signedinteger]

GRIP_M_S2 = 9.81  # measured in the real simulator: about 9.8 m/s^2 in any direction
TOP_SPEED_M_S = 3.86  # approximate top speed at full throttle
HALF_WIDTH_M = 0.38  # the walls stand at 0.44 m and the body is 0.12 m wide

STATION_SPACING_M = 0.025
MIN_STATIONS = 60
# Inside a bend tighter than the half width, stations meet in one point; beyond it the path would run backwards.
FOLD_MARGIN = 0.97
LAST_BARRIER = 1e-7  # the lap time is too long by at most 1e-7 s per constraint: 0.7 ms on a 35 m track
BANDS = 10  # a constraint involves stations at most two apart, see ``_unknowns``


@dataclass(frozen=True, eq=False)
class RacingLine:
    """The quickest lap of those that cross every station in order and end as they begin, at n stations from the finish line on.

    Attributes:
        arc_m: ``<float64>[n]``, the places along the centre line.
        offset_m: ``<float64>[n]``, the path's distance to the right of the centre line.
        speed_m_s: ``<float64>[n]``, the speed at each station.
        points: ``<float64>[n, 2]``, the path as (x, z).
        lap_time_s: The time of the lap.
    """

    arc_m: FloatArray = field(repr=False)
    offset_m: FloatArray = field(repr=False)
    speed_m_s: FloatArray = field(repr=False)
    points: FloatArray = field(repr=False)
    lap_time_s: float


class _Stations(NamedTuple):
    """Holds n stations; the points on the centre line and the unit vectors to its right are ``<float64>[n, 2]``."""

    arc_m: FloatArray
    points: FloatArray
    rights: FloatArray
    step_m: FloatArray  # to the next station
    turns_rad: FloatArray  # to the next station, positive to the right
    lowest_m: FloatArray  # bounds of the offset
    highest_m: FloatArray


def racing_line(track: Track, *, grip_m_s2: float = GRIP_M_S2, spacing_m: float = STATION_SPACING_M) -> RacingLine:
    """Computes the racing line of a track; the module says which laps it is the quickest of.

    This takes some tenths of a second, or some seconds where bends are very tight.

    Args:
        grip_m_s2: The largest acceleration in any direction, in m/s^2.
        spacing_m: The distance between stations along the centre line, in metres.

    Raises:
        ConvergenceError: The solver did not converge; the message names the track.
    """
    stations = _stations(track, spacing_m)
    count = len(stations.arc_m)
    offset_at, step_at = _unknowns(count)
    cost = np.zeros(2 * count)
    cost[step_at] = 1
    try:
        solution = minimise(
            cost,
            _slow_lap(stations, grip_m_s2),
            lambda unknowns: _constraints(stations, unknowns, grip_m_s2),
            bands=BANDS,
            last_barrier=LAST_BARRIER,
        )
    except ConvergenceError as error:
        raise ConvergenceError(
            f"track {str(track.path)!r}: the lap limit cannot be found ({error}); "
            "look for kinks and overlapping nodes in the file"
        ) from error
    offset_m, step_s = solution[offset_at], solution[step_at]
    velocities = _velocities(stations, offset_m, step_s)
    velocities_here = (velocities + np.roll(velocities, 1, axis=0)) / 2
    return RacingLine(
        arc_m=stations.arc_m,
        offset_m=offset_m,
        speed_m_s=np.hypot(velocities_here[:, 0], velocities_here[:, 1]),
        points=_path(stations, offset_m),
        lap_time_s=float(step_s.sum()),
    )


def _stations(track: Track, spacing_m: float) -> _Stations:
    count = max(MIN_STATIONS, round(track.length_m / spacing_m))
    arc_m = np.arange(count) * (track.length_m / count)
    # Metres in the plan per metre of the line, because the line is measured along its slope.
    level = np.cos(track.slopes_rad)[:, None]
    tangents = level * np.column_stack([np.sin(track.headings_rad), np.cos(track.headings_rad)])
    # A Hermite spline keeps the headings of the track's samples and does not oscillate where the curvature jumps.
    line = CubicHermiteSpline(
        np.append(track.arc_m, track.length_m),
        np.vstack([track.points, track.points[:1]]),
        np.vstack([tangents, tangents[:1]]),
    )
    points, slopes = line(arc_m), line(arc_m, 1)
    ahead = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    rights = np.column_stack([ahead[:, 1], -ahead[:, 0]])
    step_m = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    following = np.roll(ahead, -1, axis=0)
    turns_rad = np.arctan2((following * rights).sum(axis=1), (following * ahead).sum(axis=1))
    # On the inside of a bend two neighbouring stations cross at (distance between them) / turn.
    usable_m = FOLD_MARGIN * step_m
    inside_m = usable_m / np.maximum(np.abs(turns_rad), usable_m / HALF_WIDTH_M)
    right_m = np.where(turns_rad > 0, inside_m, HALF_WIDTH_M)
    left_m = np.where(turns_rad < 0, inside_m, HALF_WIDTH_M)
    return _Stations(
        arc_m,
        points,
        rights,
        step_m,
        turns_rad,
        lowest_m=-np.minimum(left_m, np.roll(left_m, 1)),
        highest_m=np.minimum(right_m, np.roll(right_m, 1)),
    )


def _unknowns(count: int) -> tuple[IntArray, IntArray]:
    """Returns the indices of each station's offset and step time in the vector of 2 n unknowns, ``<int>[n]`` each.

    Stations are taken alternately from the two ends of the lap (0, n-1, 1, n-2, ...). This makes the matrix of a closed
    lap, whose first and last stations are neighbours, a banded one: stations two apart are at most four places apart,
    and their unknowns at most nine.
    """
    station = np.arange(count)
    place = np.where(station < (count + 1) // 2, 2 * station, 2 * (count - 1 - station) + 1)
    return 2 * place, 2 * place + 1


def _slow_lap(stations: _Stations, grip_m_s2: float) -> FloatArray:
    """Returns the unknowns of a lap along the centre line at constant speed, with at most a quarter of the grip."""
    offset_at, step_at = _unknowns(len(stations.arc_m))
    curvature = float((np.abs(stations.turns_rad) / stations.step_m).max())
    speed_m_s = min(TOP_SPEED_M_S / 2, (0.25 * grip_m_s2 / curvature) ** 0.5)
    unknowns = np.zeros(2 * len(offset_at))
    unknowns[step_at] = stations.step_m / speed_m_s
    return unknowns


def _path(stations: _Stations, offset_m: FloatArray) -> FloatArray:
    return stations.points + offset_m[:, None] * stations.rights


def _velocities(stations: _Stations, offset_m: FloatArray, step_s: FloatArray) -> FloatArray:
    """Returns the mean velocity from each station to the next in m/s, ``<float64>[n, 2]``."""
    path = _path(stations, offset_m)
    return (np.roll(path, -1, axis=0) - path) / step_s[:, None]


# ---- the constraints and their derivatives


def _constraints(stations: _Stations, unknowns: FloatArray, grip_m_s2: float) -> list[Constraints]:
    """Returns the constraints: top speed, grip, both bounds of the offset and positive times, scaled to the order of 1."""
    offset_at, step_at = _unknowns(len(stations.arc_m))
    offset_m, step_s = unknowns[offset_at], unknowns[step_at]
    velocities = _velocities(stations, offset_m, step_s)
    jacobians, curvatures = _velocity_derivatives(stations, velocities, step_s)
    one, none = np.ones((len(offset_m), 1)), np.zeros((len(offset_m), 1, 1))
    return [
        _speed_constraints(offset_at, step_at, velocities, jacobians, curvatures),
        _grip_constraints(offset_at, step_at, step_s, velocities, jacobians, curvatures, grip_m_s2),
        Constraints(offset_at[:, None], stations.highest_m - offset_m, -one, none),
        Constraints(offset_at[:, None], offset_m - stations.lowest_m, one, none),
        Constraints(step_at[:, None], step_s, one, none),
    ]


def _velocity_derivatives(stations: _Stations, velocities: FloatArray, step_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns Jacobian ``<float64>[n, 2, 3]`` and second derivatives ``<float64>[n, 2, 3, 3]`` of the velocities.

    The three unknowns are the offsets at the step's two ends and its time.
    """
    time_s = step_s[:, None]
    here, there = stations.rights / time_s, np.roll(stations.rights, -1, axis=0) / time_s
    slowing = velocities / time_s
    jacobians = np.stack([-here, there, -slowing], axis=2)
    curvatures = np.zeros((len(step_s), 2, 3, 3))
    curvatures[:, :, 0, 2] = curvatures[:, :, 2, 0] = here / time_s
    curvatures[:, :, 1, 2] = curvatures[:, :, 2, 1] = -there / time_s
    curvatures[:, :, 2, 2] = 2 * slowing / time_s
    return jacobians, curvatures


def _square_derivatives(
    vectors: FloatArray, jacobians: FloatArray, curvatures: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns |vector|^2 ``<float64>[n]``, its gradient ``<float64>[n, k]`` and its Hessian ``<float64>[n, k, k]``."""
    squares = (vectors * vectors).sum(axis=1)
    gradients = 2 * np.einsum("nai,na->ni", jacobians, vectors)
    hessians = np.einsum("nai,naj->nij", jacobians, jacobians)
    hessians += np.einsum("na,naij->nij", vectors, curvatures)
    return squares, gradients, 2 * hessians


def _speed_constraints(
    offset_at: IntArray,
    step_at: IntArray,
    velocities: FloatArray,
    jacobians: FloatArray,
    curvatures: FloatArray,
) -> Constraints:
    """Returns the constraints ``1 - |v|^2 / top^2 >= 0``."""
    squares, gradients, hessians = _square_derivatives(velocities, jacobians, curvatures)
    columns = np.column_stack([offset_at, np.roll(offset_at, -1), step_at])
    top = TOP_SPEED_M_S**2
    return Constraints(columns, 1 - squares / top, -gradients / top, -hessians / top)


def _grip_constraints(
    offset_at: IntArray,
    step_at: IntArray,
    step_s: FloatArray,
    velocities: FloatArray,
    jacobians: FloatArray,
    curvatures: FloatArray,
    grip_m_s2: float,
) -> Constraints:
    """Returns the constraints ``1 - |v after - v before|^2 / (grip * time between)^2 >= 0``.

    The five unknowns are the offsets before, at and after the station, and the times of the steps before and after it.
    """
    after, before = np.array([1, 2, 4]), np.array([0, 1, 3])
    change_jacobians = np.zeros((len(step_s), 2, 5))
    change_jacobians[:, :, after] += jacobians
    change_jacobians[:, :, before] -= np.roll(jacobians, 1, axis=0)
    change_curvatures = np.zeros((len(step_s), 2, 5, 5))
    change_curvatures[:, :, after[:, None], after] += curvatures
    change_curvatures[:, :, before[:, None], before] -= np.roll(curvatures, 1, axis=0)
    changes = velocities - np.roll(velocities, 1, axis=0)
    squares, gradients, hessians = _square_derivatives(changes, change_jacobians, change_curvatures)

    # Quotient rule for squares / between^2, where the time between depends on the two times alone.
    between_s = ((step_s + np.roll(step_s, 1)) / 2)[:, None]
    slope = np.array([0, 0, 0, 0.5, 0.5])
    scale = (grip_m_s2 * between_s) ** 2
    share, gradients, hessians = squares[:, None] / scale, gradients / scale, hessians / scale[:, :, None]
    crossed = gradients[:, :, None] * slope
    hessians = (
        hessians
        - 2 / between_s[:, :, None] * (crossed + crossed.transpose(0, 2, 1))
        + 6 * (share / between_s**2)[:, :, None] * np.outer(slope, slope)
    )
    gradients = gradients - 2 * share / between_s * slope
    neighbours = [np.roll(offset_at, 1), offset_at, np.roll(offset_at, -1), np.roll(step_at, 1), step_at]
    return Constraints(np.column_stack(neighbours), 1.0 - share[:, 0], -gradients, -hessians)
