"""What a shipped policy must do: 20 laps of every shipped track without a crash."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from robotini_ray import launch
from robotini_ray.shipped.files import shipped_policies, shipped_tracks

LAPS = 20
PATIENCE_S = 1800


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S)
@pytest.mark.parametrize("name", shipped_policies())
def test_it_laps_every_shipped_track_without_a_crash(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", str(Path(launch.__file__).parents[1]))
    line = [sys.executable, "-m", "robotini_ray.launch", "evaluate", "--policy", name, "--laps", str(LAPS)]
    for track in shipped_tracks():
        line += ["--track", track]
    line += ["--no-hand-written", "--json-file", "result.json"]
    subprocess.run(line, check=True, cwd=tmp_path, timeout=PATIENCE_S, stdout=subprocess.DEVNULL)
    results = json.loads((tmp_path / "result.json").read_text())["results"]
    assert {row["track"]: (row["clean_laps"], row["crashes"]) for row in results} == dict.fromkeys(shipped_tracks(), (LAPS, 0))
    assert all(row["ratio_to_limit"] < 1.5 for row in results)
