import contextlib
import ipaddress
import os

import pytest

from robotini_ray.machine.processes import PROC

LISTEN = "0A"


def listening(pid):
    """The TCP addresses that a process listens on, as text without ports."""
    inodes = set()
    for link in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            inodes.add(os.readlink(link))
    hosts = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in inodes:
                hosts.add(str(_address(fields[1].rpartition(":")[0])))
    return hosts


def _address(text):
    """The kernel writes addresses as 32-bit words of the machine's own byte order."""
    words = [int(text[k : k + 8], 16).to_bytes(4, "little") for k in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(words))


@pytest.fixture(name="listening")
def _listening():
    return listening
