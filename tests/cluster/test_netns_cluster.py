"""`ray up` for real, as ``netns_cluster.sh`` beside this file does it."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "netns_cluster.sh"
SKIPPED = 77


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_ray_up_trains_over_two_hosts_and_ray_down_leaves_nothing():
    done = subprocess.run([SCRIPT, sys.executable], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout.splitlines()[-1].startswith("passed:")


def test_the_script_is_shell():
    assert subprocess.run(["bash", "-n", SCRIPT]).returncode == 0


def test_it_says_why_it_skips(tmp_path):
    """With an empty PATH but for what it asks `id` and `dirname` for, programs are missing, or root is."""
    for name in ("id", "dirname", "realpath"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    script = SCRIPT.read_text().replace("PATH=$PATH:/usr/sbin:/sbin", "")
    done = subprocess.run(
        ["/bin/bash", "-s", sys.executable], input=script, env={"PATH": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == SKIPPED
    assert done.stdout.startswith("skipped: ")
