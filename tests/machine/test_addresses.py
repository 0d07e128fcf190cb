import socket

import pytest

from robotini_ray.machine.addresses import exposure_warning, is_loopback, own_addresses, public_addresses

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 8.8.8.0/24 2 0 1
        |-- 8.8.8.8
           /32 host LOCAL
        |-- 8.8.8.255
           /32 link BROADCAST
     |-- 192.168.1.20
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""
INET6 = """20010db8000000000000000000000001 02 40 00 80 eth0
2a0104f8000000000000000000000002 02 40 00 80 eth0
fe8000000000000000fc00fffe000001 02 40 20 80 eth0
00000000000000000000000000000001 01 80 10 80   lo
"""


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "fib_trie").write_text(FIB)
    (tmp_path / "net" / "if_inet6").write_text(INET6)
    return tmp_path


def test_public_addresses_are_those_that_the_internet_routes(proc):
    assert public_addresses(proc) == ["2a01:4f8::2", "8.8.8.8"]


def test_own_addresses_are_those_that_other_programs_connect_to(proc):
    assert own_addresses(proc) == ["127.0.0.1", "192.168.1.20", "2001:db8::1", "2a01:4f8::2", "8.8.8.8", "::1"]


@pytest.mark.parametrize(("missing", "left"), [("fib_trie", ["2a01:4f8::2"]), ("if_inet6", ["8.8.8.8"])])
def test_a_kernel_without_one_of_the_tables(proc, missing, left):
    (proc / "net" / missing).unlink()
    assert public_addresses(proc) == left


def test_the_kernels_own_tables_are_read():
    """Loopback is in them on every machine, and is public on none."""
    from robotini_ray.machine import addresses

    assert "127.0.0.1" in addresses._ipv4(addresses.PROC)
    assert "127.0.0.1" not in public_addresses()


def test_the_warning_names_the_address_and_the_cure():
    assert exposure_warning([]) is None
    text = exposure_warning(["8.8.8.8", "2a01:4f8::2"])
    assert "8.8.8.8, 2a01:4f8::2" in text and "Reverb" in text and "SECURITY.md" in text and "\n" not in text


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("", False)],
)
def test_loopback(host, loopback):
    assert is_loopback(host) == loopback
    assert is_loopback(socket.gethostname()) is False
