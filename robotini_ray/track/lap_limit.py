"""Computes a track's limit, the lap time of a point mass on its racing line, with which lap times are compared.

The car is modelled as a point mass: its centre stays within 0.38 m of the centre line, it accelerates with at most
9.81 m/s^2 in any direction, drives at most 3.86 m/s and starts the lap flying. ``robotini_ray.track.racing_line`` solves
this problem; for tracks with height it solves their plan.

The limit is a reference that makes lap times comparable between tracks. It is not a lower bound:

- It is the time of a lap that ends as it begins, over and over. A single flying lap that begins faster than it ends can be
  0.2 % quicker.
- Inside a bend tighter than 0.38 m the racing line must not come nearer to the bend's centre, where its stations meet. A
  quicker way exists there: on a track with bends of 0.2 m radius, a lap of 3.865 s beside a limit of 3.987 s.
- Slopes count as level, see ``racing_line``.

The limits of the shipped tracks are stored in ``shipped/tracks/limits.json`` with the SHA-256 of their track files.
``python -m robotini_ray.track.lap_limit`` solves all shipped tracks again, writes that file and prints a table.
"""

from __future__ import annotations

import json
import time

from robotini_ray.machine.whole_files import write_whole
from robotini_ray.shipped.files import LIMITS_FILE, shipped_tracks
from robotini_ray.track.racing_line import RacingLine, racing_line
from robotini_ray.track.track import Track, load_track

__all__ = ["RacingLine", "lap_limit_s", "main", "racing_line"]


def lap_limit_s(track: Track) -> float:
    """Returns the time of a point mass on the racing line of a track, in seconds; see the module on what it is not.

    The limits of shipped tracks are looked up. Any other track, or a shipped one whose file was changed, is solved, which
    takes some tenths of a second, or some seconds where bends are very tight.

    Raises:
        ConvergenceError: The track had to be solved and the solver did not converge.
    """
    kept = json.loads(LIMITS_FILE.read_text(encoding="utf-8")).get(track.name)
    if kept is not None and kept["sha256"] == track.sha256:
        return float(kept["limit_s"])
    return racing_line(track).lap_time_s


def main() -> None:
    """Solves all shipped tracks, writes ``shipped/tracks/limits.json`` and prints a table."""
    limits = {}
    print(f"{'track':<16}{'length m':>10}{'limit s':>10}{'mean m/s':>10}{'solved in s':>13}")
    for name in shipped_tracks():
        track = load_track(name)
        started = time.perf_counter()
        limit_s = racing_line(track).lap_time_s
        took_s = time.perf_counter() - started
        limits[track.name] = {
            "limit_s": round(limit_s, 4),
            "length_m": round(track.length_m, 4),
            "sha256": track.sha256,
        }
        mean_m_s = track.length_m / limit_s
        print(f"{track.name:<16}{track.length_m:>10.2f}{limit_s:>10.3f}{mean_m_s:>10.2f}{took_s:>13.2f}")
    write_whole(LIMITS_FILE, json.dumps(limits, indent=2) + "\n")


if __name__ == "__main__":
    main()
