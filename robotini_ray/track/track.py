"""Loads Robotini tracks, and computes places along and across their centre lines.

The embedded simulator and the cars' side share this module. Lengths are in metres, angles in radians, in Unity's frame:
x to the right, y up, z forward; headings clockwise from +z as seen from above. A track may go up and down: then lengths
along its line are measured along the slope, while places and distances from the line are measured in the plan (the view
from above).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.text_files import read_json
from robotini_ray.shipped.files import TRACKS, shipped_tracks
from robotini_ray.track.centre_line import LEVEL_WEIGHT, Line, height_on, locate_on, pose_on, room_to_walls, slope_on

FloatArray = NDArray[np.float64]

SAMPLES_PER_CURVE = 30  # the real simulator measures each Bezier curve by 30 chords
NEIGHBOURHOOD_M = 1.5  # search range of ``locate`` each way along the line around the car's last place
HEIGHT_TOLERANCE_M = 1e-6
SHORTEST_M = 2 * NEIGHBOURHOOD_M
"""Length of the shortest line: ``locate`` would search a shorter one more than once around a car's last place."""

LONGEST_M = 75.0
"""Length of the longest line.

The camera of the embedded simulator maps the ground of a flat track in cells of 3 mm: an oval of 68 m fills 1.8 GB, and each
doubling of the length four times as much. Robotini's own tracks have 14 to 18 m.
"""

FARTHEST_M = 1000.0
"""Largest coordinate of a node: the camera computes with 32-bit floats, which are 0.06 mm apart there."""

STEEPEST_SLOPE = 1.0  # height per metre of plan, 45 degrees; on steeper roads the plan no longer determines a car's place


class TrackError(RobotiniError, ValueError):
    """Raised for a track file that is missing, malformed or not supported; the message names the file and the reason."""


class TrackPlace(NamedTuple):
    """A point's place on the track: metres along the line, metres right of it, and the line's heading there (rad)."""

    arc_m: float
    offset_m: float
    heading_rad: float


@dataclass(frozen=True, eq=False)
class Track:
    """The centre line of a closed track as n samples; all arrays are read-only.

    The first sample, at arc 0 on the finish line, is not repeated at the end.

    Attributes:
        name: The file name of the track.
        path: The track file.
        length_m: The length, measured along the chords between samples, height included.
        points: ``<float64>[n, 2]``, places in the plan as (x, z).
        arc_m: ``<float64>[n]``, arc lengths from the finish line, measured like ``length_m``.
        headings_rad: ``<float64>[n]``, unwrapped: neighbours never differ by a whole turn.
        curvatures_per_m: ``<float64>[n]``, curvatures of the plan, positive in a right turn.
        heights_m: ``<float64>[n]``, heights (y) of the road.
        slopes_rad: ``<float64>[n]``, angles by which the road rises along the track.
    """

    name: str
    path: Path
    length_m: float
    points: FloatArray = field(repr=False)
    arc_m: FloatArray = field(repr=False)
    headings_rad: FloatArray = field(repr=False)
    curvatures_per_m: FloatArray = field(repr=False)
    heights_m: FloatArray = field(repr=False)
    slopes_rad: FloatArray = field(repr=False)

    @property
    def is_flat(self) -> bool:
        """Tells whether the whole road lies at one height, within 1e-6 m."""
        return bool(np.ptp(self.heights_m) <= HEIGHT_TOLERANCE_M)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the track file, in hexadecimal digits."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def line(self) -> Line:
        """Samples of the line for the compiled functions ``pose_on``, ``locate_on``, ``height_on`` and ``slope_on``."""
        walls_m = room_to_walls(self.points, self.headings_rad, self.heights_m)
        return Line(
            self.points,
            self.arc_m,
            self.headings_rad,
            self.length_m,
            self.is_flat,
            _frozen(np.column_stack([self.heights_m, self.slopes_rad, walls_m])),
            float(walls_m.min()),
        )

    def has_line_of(self, other: Track) -> bool:
        """Returns whether both tracks have the same centre line, sample by sample."""
        return np.array_equal(self.points, other.points) and np.array_equal(self.heights_m, other.heights_m)

    def pose(self, arc_m: float) -> tuple[float, float, float]:
        """Returns (x, z, heading) on the centre line at ``arc_m``, which may be any number of laps away."""
        return pose_on(self.line, float(arc_m))

    def height(self, arc_m: float) -> float:
        """Returns the height (y) of the road at ``arc_m``, which may be any number of laps away."""
        return height_on(self.line, float(arc_m))

    def slope(self, arc_m: float) -> float:
        """Returns the angle by which the road rises along the track at ``arc_m``, in radians; negative where it descends."""
        return slope_on(self.line, float(arc_m))

    def locate(self, x: float, z: float, near_arc_m: float | None = None, y: float | None = None) -> TrackPlace:
        """Returns the nearest point on the line to a point (x, z), and the signed distance from it (positive = right).

        Args:
            near_arc_m: The car's last place. Only 1.5 m of line each way from it are searched, so that a leg that crosses
                or passes close by is never mistaken for the one the car is on. None searches the whole line.
            y: The point's height. Without ``near_arc_m`` it selects one of two legs that cross on a bridge.
        """
        window_m = NEIGHBOURHOOD_M
        if near_arc_m is None and y is not None:
            gaps, levels = self.points - (x, z), LEVEL_WEIGHT * (self.heights_m - y)
            near_arc_m = self.arc_m[np.argmin(gaps[:, 0] ** 2 + gaps[:, 1] ** 2 + levels**2)]
        elif near_arc_m is None:
            near_arc_m, window_m = 0.0, math.inf
        return TrackPlace(*locate_on(self.line, float(x), float(z), float(near_arc_m), window_m))

    def curvature(self, arc_m: float) -> float:
        """Returns the curvature of the centre line at ``arc_m`` in 1/m, positive in a right turn."""
        return float(self.curvatures_at(np.array(arc_m)))

    def curvatures_at(self, arcs_m: FloatArray) -> FloatArray:
        """Returns the curvatures of the centre line at many places in 1/m, positive in right turns; see ``curvature``."""
        return np.interp(arcs_m % self.length_m, *self._closed_curvatures)

    @cached_property
    def _closed_curvatures(self) -> tuple[FloatArray, FloatArray]:
        """Arcs and curvatures, with the first sample repeated after the last one."""
        return np.append(self.arc_m, self.length_m), np.append(self.curvatures_per_m, self.curvatures_per_m[0])

    def trigger_arcs_m(self, num_segments: int) -> FloatArray:
        """Returns the places of the segments' triggers, ``<float64>[num_segments]``, without the finish line at 0."""
        return np.arange(1, num_segments + 1) * (self.length_m / (num_segments + 1))


def load_track(name_or_path: str) -> Track:
    """Loads a shipped track by its name (``default``, ``oval``, ...) or any Robotini track file by its path.

    Raises:
        TrackError: The file does not exist, is not a track, is too short, long or far away for the simulator, or is steeper
            than 45 degrees somewhere.
    """
    shipped = TRACKS / f"{name_or_path}.json"
    path = shipped if name_or_path in shipped_tracks() else Path(name_or_path)
    try:
        return _build_track(path, _parse_nodes(read_json(path)))
    except OSError as error:
        known = ", ".join(shipped_tracks())
        reason = f"cannot be read ({error.strerror}); give a .json file or one of: {known}"
        raise TrackError(f"track {name_or_path!r} {reason}") from None
    except ValueError as error:  # of the reader too
        raise TrackError(f"track {str(path)!r}: {error}") from None


def _parse_nodes(content: Any) -> FloatArray:
    """Returns position and direction (x, y, z) of every node, ``<float64>[k, 2, 3]``; the last node repeats the first."""
    entries = content.get("trackNodes") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) < 3:
        raise TrackError("needs a list 'trackNodes' of at least 3 nodes, the last repeating the first")
    nodes = np.array([_parse_node(index, entry) for index, entry in enumerate(entries)])
    if not np.isfinite(nodes).all():
        raise TrackError("a coordinate is not a finite number")
    if (farthest := float(np.abs(nodes).max())) > FARTHEST_M:
        raise TrackError(f"a coordinate is {farthest:.6g} m from 0; at most {FARTHEST_M:g} m are allowed")
    if np.abs(nodes[0, 0] - nodes[-1, 0]).max() > 1e-3:
        raise TrackError("is not closed: the last node must repeat the first")
    return nodes


def _parse_node(index: int, entry: Any) -> list[list[float]]:
    try:
        return [[float(entry[key][axis]) for axis in "xyz"] for key in ("position", "direction")]
    except (TypeError, KeyError, ValueError):
        raise TrackError(f"node {index} needs 'position' and 'direction', each with numbers x, y and z") from None


def _build_track(path: Path, nodes: FloatArray) -> Track:
    samples, tangents = _sample_curves(nodes)
    chords = np.roll(samples, -1, axis=0) - samples
    plan_m = np.hypot(chords[:, 0], chords[:, 2])
    chord_m = np.hypot(plan_m, chords[:, 1])
    if not SHORTEST_M <= (length_m := float(chord_m.sum())) <= LONGEST_M:
        raise TrackError(
            f"the line is {length_m:.6g} m long; allowed: {SHORTEST_M:g} to {LONGEST_M:g} m (coordinates are metres)"
        )
    if plan_m.min() <= 0:
        raise TrackError("two samples of the line coincide as seen from above; remove duplicate nodes")
    # A Bezier curve may start with a zero tangent (direction equal to position); then the chord gives heading and slope.
    still = np.hypot(tangents[:, 0], tangents[:, 2]) < 1e-9
    tangents[still] = chords[still]
    slopes = tangents[:, 1] / np.hypot(tangents[:, 0], tangents[:, 2])
    steepness = np.maximum(np.abs(slopes), np.abs(chords[:, 1]) / plan_m)
    if steepness.max() > STEEPEST_SLOPE:
        place, degrees = int(steepness.argmax()), math.degrees(math.atan(steepness.max()))
        raise TrackError(
            f"the road after node {place // SAMPLES_PER_CURVE} has a slope of {degrees:.0f} degrees; at most 45 are allowed"
        )
    headings = np.unwrap(np.arctan2(tangents[:, 0], tangents[:, 2]))
    return Track(
        name=path.name,
        path=path,
        length_m=length_m,
        points=_frozen(samples[:, [0, 2]]),
        arc_m=_frozen(np.concatenate([[0.0], np.cumsum(chord_m)[:-1]])),
        headings_rad=_frozen(headings),
        curvatures_per_m=_frozen(_curvatures(headings, plan_m)),
        heights_m=_frozen(samples[:, 1]),
        slopes_rad=_frozen(np.arctan(slopes)),
    )


def _sample_curves(nodes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns points and tangents, ``<float64>[30 * (k - 1), 3]``, of the cubic Bezier curves between neighbouring nodes.

    Robotini's control points are ``p0 = position[i]``, ``p1 = direction[i]``, ``p2 = 2 * position[i+1] - direction[i+1]`` and
    ``p3 = position[i+1]``.
    """
    start, end = nodes[:-1], nodes[1:]
    p0, p1, p2, p3 = start[:, 0], start[:, 1], 2 * end[:, 0] - end[:, 1], end[:, 0]
    t = (np.arange(SAMPLES_PER_CURVE) / SAMPLES_PER_CURVE)[None, :, None]
    u = 1 - t
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    points = u**3 * p0 + 3 * u**2 * t * p1 + 3 * u * t**2 * p2 + t**3 * p3
    tangents = 3 * u**2 * (p1 - p0) + 6 * u * t * (p2 - p1) + 3 * t**2 * (p3 - p2)
    return points.reshape(-1, 3), tangents.reshape(-1, 3)


def _curvatures(headings: FloatArray, plan_m: FloatArray) -> FloatArray:
    """Computes curvatures as central differences of the heading along the plan of the closed line."""
    before, after = np.roll(headings, 1), np.roll(headings, -1)
    turn = (after - before + math.pi) % (2 * math.pi) - math.pi
    return turn / (plan_m + np.roll(plan_m, 1))


def _frozen(array: FloatArray) -> FloatArray:
    array = np.ascontiguousarray(array, dtype=np.float64)
    array.setflags(write=False)
    return array
