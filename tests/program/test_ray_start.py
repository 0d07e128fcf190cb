"""A Ray that does not start is one line.

It runs in a process of its own, because Ray reads the environment when it is imported.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = """
from robotini_ray.errors import RobotiniError
from robotini_ray.program.ray_start import start_ray
try:
    start_ray("local", lambda: None, print)
except RobotiniError as error:
    print(error)
"""


def test_the_line_names_the_reason_and_the_place_of_the_logs():
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rr-") as folder:  # pytest's own folder is too long for sockets
        (Path(folder) / "ray").write_text("")  # where Ray's folder should be
        environment = {**os.environ, "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        environment.pop("RAY_ADDRESS", None)
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=150)
    line = done.stdout.splitlines()[-1]
    assert line.startswith("Ray did not start: ") and f"(logs: {folder}/ray)" in line and "start again" in line, done
