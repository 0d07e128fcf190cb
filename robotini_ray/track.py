"""The geometry of a Robotini track: its centre line, and where a point lies along and across it.

Shared by the embedded simulator and the car side. Lengths are metres, angles radians, in Unity's ground plane:
x to the right, z forward, headings clockwise from +z as seen from above.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robotini_ray.compiled import compiled
from robotini_ray.errors import RobotiniError

FloatArray = NDArray[np.float64]

SHIPPED_TRACKS = Path(__file__).parent / "tracks"
LIMITS_FILE = "limits.json"  # lies beside them, but holds their lap limits
SAMPLES_PER_CURVE = 30  # the simulator's spline measures each Bezier curve by 30 chords
NEIGHBOURHOOD_M = 1.5  # how far along the line `locate` looks when it is told where the car was
HEIGHT_TOLERANCE_M = 1e-6


class TrackError(RobotiniError, ValueError):
    """A track file that is missing, malformed or not supported; the message names the file and the reason."""


class Line(NamedTuple):
    """The samples of a centre line as compiled code takes them; see `Track` for the meaning of the fields."""

    points: FloatArray
    arc_m: FloatArray
    headings_rad: FloatArray
    length_m: float


class TrackPlace(NamedTuple):
    """A point's place on the track: metres along the line, metres right of it, the line's heading there."""

    arc_m: float
    offset_m: float
    heading_rad: float


@dataclass(frozen=True, eq=False)
class Track:
    """The centre line of a closed track as samples; all arrays are read-only.

    `points` is float64[n, 2] of (x, z), `arc_m` and `headings_rad` are float64[n]; the first sample, at arc 0 on the
    finish line, is not repeated at the end. Headings are unwrapped: neighbours never differ by a whole turn.
    `curvatures_per_m` is float64[n], positive in a right turn.
    """

    name: str
    path: Path
    length_m: float
    points: FloatArray = field(repr=False)
    arc_m: FloatArray = field(repr=False)
    headings_rad: FloatArray = field(repr=False)
    curvatures_per_m: FloatArray = field(repr=False)

    @cached_property
    def line(self) -> Line:
        """The same samples for the compiled functions `pose_on` and `locate_on`."""
        return Line(self.points, self.arc_m, self.headings_rad, self.length_m)

    def pose(self, arc_m: float) -> tuple[float, float, float]:
        """(x, z, heading) on the centre line at `arc_m`, which may be any number of laps away."""
        return pose_on(self.line, float(arc_m))

    def locate(self, x: float, z: float, near_arc_m: float | None = None) -> TrackPlace:
        """The place of point (x, z): its nearest point on the line and the signed distance from it (+ = right).

        Without `near_arc_m` the whole line is searched. With it, only 1.5 m of line either way, so that a leg that
        crosses or passes close by is never taken for the one the car is on.
        """
        if near_arc_m is None:
            return TrackPlace(*locate_on(self.line, float(x), float(z), 0.0, math.inf))
        return TrackPlace(*locate_on(self.line, float(x), float(z), float(near_arc_m), NEIGHBOURHOOD_M))

    def curvature(self, arc_m: float) -> float:
        """Curvature of the centre line at `arc_m` in 1/m, positive in a right turn."""
        index = int(np.searchsorted(self.arc_m, arc_m % self.length_m, side="right")) - 1
        following = (index + 1) % len(self.arc_m)
        chord_m = (self.arc_m[following] - self.arc_m[index]) % self.length_m
        part = (arc_m % self.length_m - self.arc_m[index]) / chord_m
        return float((1 - part) * self.curvatures_per_m[index] + part * self.curvatures_per_m[following])

    def trigger_arcs_m(self, num_segments: int) -> FloatArray:
        """float64[num_segments]: where the trigger of each segment stands; the finish line at 0 is not listed."""
        return np.arange(1, num_segments + 1) * (self.length_m / (num_segments + 1))


def shipped_tracks() -> tuple[str, ...]:
    """Names of the tracks in the package, without `.json`."""
    return tuple(sorted(path.stem for path in SHIPPED_TRACKS.glob("*.json") if path.name != LIMITS_FILE))


def load_track(name_or_path: str) -> Track:
    """Load a shipped track by name (`default`, `oval`, ...) or any Robotini track file by path.

    Raises:
      TrackError: there is no such file, it is not a track, or the track is not flat.
    """
    shipped = SHIPPED_TRACKS / f"{name_or_path}.json"
    path = shipped if name_or_path in shipped_tracks() else Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(shipped_tracks())
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise TrackError(f"track {name_or_path!r} cannot be read ({reason}); give a .json file or one of: {known}") from None
    try:
        nodes = _parse_nodes(text)
    except TrackError as error:
        raise TrackError(f"track {str(path)!r}: {error}") from None
    return _build_track(path, nodes)


def _parse_nodes(text: str) -> FloatArray:
    """float64[k, 2, 3]: position and direction (x, y, z) of every node, the last one repeating the first."""
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise TrackError(f"not JSON ({error})") from None
    entries = content.get("trackNodes") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) < 3:
        raise TrackError("needs a list 'trackNodes' of at least 3 nodes, the last repeating the first")
    nodes = np.array([_parse_node(index, entry) for index, entry in enumerate(entries)])
    if not np.isfinite(nodes).all():
        raise TrackError("a coordinate is not a finite number")
    if np.abs(nodes[0, 0] - nodes[-1, 0]).max() > 1e-3:
        raise TrackError("is not closed: the last node must repeat the first")
    heights = np.concatenate([nodes[:, :, 1].ravel(), (2 * nodes[:, 0, 1] - nodes[:, 1, 1])])
    height_m = float(np.abs(heights - heights[0]).max())
    if height_m > HEIGHT_TOLERANCE_M:
        raise TrackError(f"has height ({height_m:.3g} m); only flat tracks are supported")
    return nodes


def _parse_node(index: int, entry: Any) -> list[list[float]]:
    try:
        return [[float(entry[key][axis]) for axis in "xyz"] for key in ("position", "direction")]
    except (TypeError, KeyError, ValueError):
        raise TrackError(f"node {index} needs 'position' and 'direction', each with numbers x, y and z") from None


def _build_track(path: Path, nodes: FloatArray) -> Track:
    points, tangents = _sample_curves(nodes[:, :, [0, 2]])
    chords = np.roll(points, -1, axis=0) - points
    chord_m = np.hypot(chords[:, 0], chords[:, 1])
    if chord_m.min() <= 0:
        raise TrackError(f"track {str(path)!r}: two samples of the line coincide; remove doubled nodes")
    # A Bezier curve may start with zero speed (direction equal to position): the chord then gives the heading.
    still = np.hypot(tangents[:, 0], tangents[:, 1]) < 1e-9
    tangents[still] = chords[still]
    headings = np.unwrap(np.arctan2(tangents[:, 0], tangents[:, 1]))
    length_m = float(chord_m.sum())
    return Track(
        name=path.name,
        path=path,
        length_m=length_m,
        points=_frozen(points),
        arc_m=_frozen(np.concatenate([[0.0], np.cumsum(chord_m)[:-1]])),
        headings_rad=_frozen(headings),
        curvatures_per_m=_frozen(_curvatures(headings, chord_m)),
    )


def _sample_curves(nodes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points and tangents, float64[30 (k - 1), 2], of the cubic Bezier curves between neighbouring nodes.

    Robotini's rule: p0 = position[i], p1 = direction[i], p2 = 2 position[i+1] - direction[i+1], p3 = position[i+1].
    """
    start, end = nodes[:-1], nodes[1:]
    p0, p1, p2, p3 = start[:, 0], start[:, 1], 2 * end[:, 0] - end[:, 1], end[:, 0]
    t = (np.arange(SAMPLES_PER_CURVE) / SAMPLES_PER_CURVE)[None, :, None]
    u = 1 - t
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    points = u**3 * p0 + 3 * u**2 * t * p1 + 3 * u * t**2 * p2 + t**3 * p3
    tangents = 3 * u**2 * (p1 - p0) + 6 * u * t * (p2 - p1) + 3 * t**2 * (p3 - p2)
    return points.reshape(-1, 2), tangents.reshape(-1, 2)


def _curvatures(headings: FloatArray, chord_m: FloatArray) -> FloatArray:
    """Central differences of the heading along the closed line."""
    before, after = np.roll(headings, 1), np.roll(headings, -1)
    turn = (after - before + math.pi) % (2 * math.pi) - math.pi
    return turn / (chord_m + np.roll(chord_m, 1))


def _frozen(array: FloatArray) -> FloatArray:
    array = np.ascontiguousarray(array, dtype=np.float64)
    array.setflags(write=False)
    return array


@compiled
def _sample_before(arc_m: FloatArray, arc: float) -> int:
    """Index of the last sample at or before `arc`, which lies in [0, length)."""
    low, high = 0, len(arc_m)
    while high - low > 1:
        middle = (low + high) // 2
        if arc_m[middle] <= arc:
            low = middle
        else:
            high = middle
    return low


@compiled
def _interpolated_heading(headings: FloatArray, index: int, part: float) -> float:
    following = headings[(index + 1) % len(headings)]
    turn = (following - headings[index] + math.pi) % (2 * math.pi) - math.pi
    return headings[index] + part * turn


@compiled
def pose_on(line: Line, arc: float) -> tuple[float, float, float]:
    """(x, z, heading) on the line at arc length `arc`, taken modulo the length."""
    arc = arc % line.length_m
    index = _sample_before(line.arc_m, arc)
    following = (index + 1) % len(line.arc_m)
    end = line.arc_m[following] if following else line.length_m
    part = (arc - line.arc_m[index]) / (end - line.arc_m[index])
    x = line.points[index, 0] + part * (line.points[following, 0] - line.points[index, 0])
    z = line.points[index, 1] + part * (line.points[following, 1] - line.points[index, 1])
    return x, z, _interpolated_heading(line.headings_rad, index, part)


@compiled
def _nearest_chord(line: Line, x: float, z: float, near: float, window_m: float) -> tuple[int, float]:
    """The chord nearest to (x, z) and how far along it (0..1) the nearest point lies."""
    n = len(line.arc_m)
    whole = 2 * window_m >= line.length_m
    first = 0 if whole else _sample_before(line.arc_m, (near - window_m) % line.length_m)
    limit_m = math.inf if whole else 2 * window_m
    best, best_part, best_square, passed_m = 0, 0.0, math.inf, 0.0
    for step in range(n):
        index = (first + step) % n
        following = (index + 1) % n
        chord_m = (line.arc_m[following] if following else line.length_m) - line.arc_m[index]
        chord_x = line.points[following, 0] - line.points[index, 0]
        chord_z = line.points[following, 1] - line.points[index, 1]
        gap_x = x - line.points[index, 0]
        gap_z = z - line.points[index, 1]
        part = min(1.0, max(0.0, (gap_x * chord_x + gap_z * chord_z) / (chord_m * chord_m)))
        square = (gap_x - part * chord_x) ** 2 + (gap_z - part * chord_z) ** 2
        if square < best_square:
            best, best_part, best_square = index, part, square
        passed_m += chord_m
        if passed_m > limit_m + chord_m:
            break
    return best, best_part


@compiled
def locate_on(line: Line, x: float, z: float, near: float, window_m: float) -> tuple[float, float, float]:
    """(arc, offset, heading) of the point of the line nearest to (x, z), within `window_m` of arc `near`."""
    index, part = _nearest_chord(line, x, z, near, window_m)
    following = (index + 1) % len(line.arc_m)
    chord_x = line.points[following, 0] - line.points[index, 0]
    chord_z = line.points[following, 1] - line.points[index, 1]
    chord_m = math.hypot(chord_x, chord_z)
    gap_x = x - line.points[index, 0] - part * chord_x
    gap_z = z - line.points[index, 1] - part * chord_z
    # (dz, -dx) points to the right of a chord: the sign of this product is the side. The distance is the whole gap,
    # which at the outside of a vertex is more than its part along that normal.
    side = gap_x * chord_z - gap_z * chord_x
    offset = math.copysign(math.hypot(gap_x, gap_z), side)
    arc = (line.arc_m[index] + part * chord_m) % line.length_m
    return arc, offset, _interpolated_heading(line.headings_rad, index, part)
