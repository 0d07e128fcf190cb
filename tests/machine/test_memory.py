"""Available memory: that of the machine, or what is left in a container."""

import pytest

from robotini_ray.machine.memory import available_memory_bytes

MACHINE = 8_000_000 * 1024
NO_LIMIT = "9223372036854771712"
V1_MOUNT = "35 31 0:32 {root} {top} rw,relatime - cgroup cgroup rw,memory"
V2_MOUNT = "41 31 0:38 {root} {top} rw,relatime - cgroup2 cgroup2 rw"


@pytest.fixture
def machine(tmp_path):
    """A function that lays out /proc and returns it together with the folder where groups are mounted."""
    top = tmp_path / "cgroup"

    def lay_out(mount, root, groups):
        (tmp_path / "proc" / "self").mkdir(parents=True)
        proc = tmp_path / "proc"
        (proc / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
        (proc / "self" / "mountinfo").write_text(f"22 1 0:20 / / rw - ext4 /dev/sda rw\n{mount.format(root=root, top=top)}\n")
        (proc / "self" / "cgroup").write_text(groups)
        return proc, top

    return lay_out


def v1(folder, limit, usage, cached=0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"inactive_file 1\ntotal_inactive_file {cached}\n")


def v2(folder, limit, usage, cached=0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def test_a_limit_counts_less_what_is_used_and_cannot_be_dropped(machine):
    proc, top = machine(V2_MOUNT, "/", "0::/\n")
    v2(top, 2 * 10**9, 5 * 10**8, cached=10**8)
    assert available_memory_bytes(proc) == 16 * 10**8


def test_version_1_has_other_files(machine):
    proc, top = machine(V1_MOUNT, "/", "5:devices:/\n4:cpu,memory:/job/step\n0::/\n")
    v1(top / "job" / "step", 10**9, 4 * 10**8, cached=10**8)
    assert available_memory_bytes(proc) == 7 * 10**8


@pytest.mark.parametrize(
    ("mount", "group", "write", "unlimited"),
    [(V1_MOUNT, "4:memory:/a/b\n", v1, NO_LIMIT), (V2_MOUNT, "0::/a/b\n", v2, "max")],
)
def test_limits_of_the_groups_above_count_too(machine, mount, group, write, unlimited):
    proc, top = machine(mount, "/", group)
    write(top / "a" / "b", unlimited, 10**6)
    assert available_memory_bytes(proc) == MACHINE
    write(top / "a", 3 * 10**9, 10**9)
    assert available_memory_bytes(proc) == 2 * 10**9
    write(top, 10**9, 2 * 10**9)
    assert available_memory_bytes(proc) == 0


@pytest.mark.parametrize("group", ["/docker/1a2b", "/../../outside"])
def test_a_container_that_sees_only_its_own_group(machine, group):
    proc, top = machine(V1_MOUNT, "/docker/1a2b", f"4:memory:{group}\n")
    v1(top, 10**9, 10**8)
    assert available_memory_bytes(proc) == 9 * 10**8


def test_a_limit_above_the_machines_memory_does_not_count(machine):
    proc, top = machine(V2_MOUNT, "/", "0::/\n")
    v2(top, 10**12, 0)
    assert available_memory_bytes(proc) == MACHINE


def test_a_machine_without_control_groups(tmp_path):
    (tmp_path / "meminfo").write_text("MemAvailable: 8000000 kB\n")
    assert available_memory_bytes(tmp_path) == MACHINE


def test_this_machine_has_memory():
    assert available_memory_bytes() > 100_000_000
