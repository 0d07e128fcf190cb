"""A part on a node that does not see the run directory; the node is a process, Ray is not started."""

import subprocess
import sys

SCRIPT = """
import sys
from pathlib import Path
from robotini_ray.program.part import PartActor
from robotini_ray.run.track_copy import kept_track
run = Path(sys.argv[1])
track = kept_track(run, "mine.json")
part = PartActor("part", run / "logs", "robotini_ray.run.track_copy:kept_track", (run, "mine.json"), [], {track: b"a track"})
assert part._instance.read_bytes() == b"a track"
"""


def test_the_track_is_there_before_the_part_is_made(tmp_path):
    subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / "run"], check=True, timeout=300)
    assert (tmp_path / "run" / "track" / "mine.json").read_bytes() == b"a track"
