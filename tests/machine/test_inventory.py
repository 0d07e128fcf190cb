import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import robotini_ray
from robotini_ray.machine import inventory as machine_module
from robotini_ray.machine.inventory import machine, versions
from tests.waiting import LONG_S

CPUINFO = "processor\t: 0\nmodel name\t: Abacus 3000\n\nprocessor\t: 1\nmodel name\t: Abacus 3000\n"


def fake_proc(folder, cpuinfo):
    (folder / "cpuinfo").write_text(cpuinfo)
    (folder / "meminfo").write_text("MemTotal:        4096 kB\nMemFree:           1 kB\n")
    return folder


def test_a_machine_without_a_gpu(tmp_path):
    cores = len(os.sched_getaffinity(0))
    assert machine(fake_proc(tmp_path, CPUINFO)) == {
        "cpu": "Abacus 3000",
        "cores": cores,
        "memory_bytes": 4096 * 1024,
        "gpu": None,
    }


def test_a_machine_with_gpus_names_the_first(tmp_path):
    for place, model in (("0000:02:00.0", "Second"), ("0000:01:00.0", "GeForce One")):
        folder = tmp_path / "driver" / "nvidia" / "gpus" / place
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 33\n")
    assert machine(fake_proc(tmp_path, CPUINFO))["gpu"] == "GeForce One"


def test_a_processor_without_a_name(tmp_path):
    assert machine(fake_proc(tmp_path, "processor\t: 0\nCPU part\t: 0xd0c\n"))["cpu"] == platform.machine()


def test_the_machine_at_hand():
    found = machine()
    assert found["cpu"] and found["cores"] >= 1 and found["memory_bytes"] > 2**28
    json.dumps(found)


def test_versions_are_those_installed():
    found = versions()
    assert (found["python"], found["robotini_ray"]) == (platform.python_version(), robotini_ray.__version__)
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["opencv"] and found["numba"]


def test_what_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr(machine_module, "DISTRIBUTIONS", {"no-such": ("no-such-distribution",), "numpy": ("no-such", "numpy")})
    found = versions()
    assert found["no-such"] is None and found["numpy"] is not None


def test_versions_are_found_without_an_import():
    code = "import sys; from robotini_ray.machine.inventory import versions; versions(); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(robotini_ray.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG_S, env=environment, check=True
    )
    assert not {"numpy", "numba", "cv2", "tensorflow", "ray", "reverb"} & set(done.stdout.split())
