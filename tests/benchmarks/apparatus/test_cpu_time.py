import os
import subprocess
import sys
import time

import pytest

from robotini_ray.benchmarks.apparatus.cpu_time import cpu_time_s

BUSY_S = 0.2
SPIN = f"""
import sys, time
while time.process_time() < {BUSY_S}:
    pass
print("spun", flush=True)
sys.stdin.read()
"""


def test_another_process_is_charged_for_what_it_computes_and_not_for_waiting():
    with subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            spent_s = cpu_time_s(process.pid)
            time.sleep(0.3)
            assert spent_s >= BUSY_S - 0.03
            assert cpu_time_s(process.pid) <= spent_s + 0.05
        finally:
            process.kill()


def own_time_s():
    times = os.times()
    return times.user + times.system


def test_it_agrees_with_what_a_process_says_of_itself():
    before_s, found_s, after_s = own_time_s(), cpu_time_s(os.getpid()), own_time_s()
    assert before_s - 0.03 <= found_s <= after_s + 0.03


def test_a_name_with_spaces_and_brackets(tmp_path):
    """The kernel writes the program's name as it is."""
    program = tmp_path / "odd) 1 (na me"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            assert cpu_time_s(process.pid) < 0.1
        finally:
            process.kill()


def test_a_process_that_is_not_there():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with pytest.raises(FileNotFoundError):
            cpu_time_s(process.pid)
