import collections
import os

import pytest

from robotini_ray.config import load_config
from robotini_ray.doctor import resources
from robotini_ray.doctor.resources import (
    check_cores,
    check_disk,
    check_gpu,
    check_memory_for,
    check_shared_memory,
    existing_parent,
)

Usage = collections.namedtuple("Usage", "total used free")


def config(**changes):
    return load_config(None, {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda pid: set(range(4)))


@pytest.fixture
def disks(monkeypatch):
    """Sets what is free where."""

    def set_free(**free):
        usage = {f"/{name}": Usage(10**12, 10**12 - size, size) for name, size in free.items()}
        monkeypatch.setattr(resources.shutil, "disk_usage", lambda path: usage[str(path)])
        monkeypatch.setattr(resources, "existing_parent", lambda path: resources.Path("/run"))

    return set_free


class TestCores:
    def test_two_collectors_a_core_are_fine(self, cores):
        (finding,) = check_cores(config(collection__cars=16, collection__cars_per_collector=2))
        assert finding.level == "ok" and "4 for 8 collectors" in finding.what

    def test_more_are_not_and_the_cure_is_enough(self, cores):
        many = {"collection__cars": 33}
        (finding,) = check_cores(config(**many))
        assert finding.level == "warning" and "collection.cars_per_collector to 5" in finding.cure
        assert check_cores(config(**many, collection__cars_per_collector=5))[0].level == "ok"

    def test_learner_threads(self, cores):
        (finding,) = check_cores(config(learner__threads=5))
        assert finding.level == "warning" and finding.cure == "set learner.threads to 4"


class TestGpu:
    def test_none_asked_for(self):
        assert check_gpu(config()) == []

    @pytest.mark.parametrize(("gpu", "level"), [(None, "error"), ("NVIDIA T4", "ok")])
    def test_asked_for(self, monkeypatch, gpu, level):
        monkeypatch.setattr(resources, "machine", lambda: {"gpu": gpu})
        (finding,) = check_gpu(config(learner__num_gpus=1))
        assert finding.level == level and (gpu or "no NVIDIA GPU") in finding.what


class TestMemory:
    """The default config: 6 collectors and 3 other processes of 0.55 GB, 1 GB, and 200,000 items of 436 bytes."""

    @pytest.mark.parametrize(("free_gb", "level"), [(5, "error"), (7, "warning"), (9, "ok")])
    def test_levels(self, free_gb, level):
        (finding,) = check_memory_for(config(), free_gb * 10**9)
        assert finding.level == level
        assert "(436 bytes an item x 200,000) and 9 processes of 0.55 GB" in finding.what
        assert f"{free_gb}.0 GB are free" in finding.what
        assert ("replay.capacity" in finding.cure) == (level != "ok")

    def test_this_machine_is_asked(self):
        assert check_memory_for(config(replay__capacity=10**8))[0].check == "memory"

    def test_shared_memory(self, tmp_path, monkeypatch, disks):
        monkeypatch.setattr(resources, "available_memory_bytes", lambda: 10**10)
        disks(shm=4 * 10**9)
        assert check_shared_memory(resources.Path("/shm"))[0].level == "warning"  # there is no such folder
        monkeypatch.setattr(resources.Path, "is_dir", lambda path: True)
        assert check_shared_memory(resources.Path("/shm"))[0].level == "ok"
        disks(shm=64 * 2**20)
        (finding,) = check_shared_memory(resources.Path("/shm"))
        assert finding.level == "warning" and "--shm-size=3g" in finding.cure


class TestDisk:
    @pytest.mark.parametrize(("free", "level"), [(10**8, "error"), (2 * 10**9, "warning"), (10**11, "ok")])
    def test_levels(self, disks, free, level):
        disks(run=free, tmp=10**11)
        (finding,) = check_disk(config(replay__capacity=2_000_000), resources.Path("/run"))
        assert finding.level == level and "up to 3.5 GB" in finding.what

    def test_rays_disk_may_be_another_one(self, disks):
        disks(run=10**11, tmp=10**10)
        (finding,) = check_disk(config(), resources.Path("/run"))
        assert finding.level == "warning" and "/tmp is 99 % full" in finding.what

    def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above(self, tmp_path):
        assert existing_parent(tmp_path / "a" / "b") == tmp_path.resolve()
        assert existing_parent(tmp_path) == tmp_path.resolve()
        assert os.path.exists(existing_parent(resources.Path("/no/such/folder")))
