"""Finds the addresses of this machine and warns about public ones."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path

PROC = Path("/proc")


def own_addresses(proc: Path = PROC) -> list[str]:
    """Returns this machine's IP addresses, sorted: those of the loopback included, link-local ones left out."""
    return sorted(address for address in {*_ipv4(proc), *_ipv6(proc)} if not ipaddress.ip_address(address).is_link_local)


def public_addresses(proc: Path = PROC) -> list[str]:
    """Returns this machine's globally routable IP addresses, sorted.

    A router or firewall in between may still keep strangers out.
    """
    return [address for address in own_addresses(proc) if ipaddress.ip_address(address).is_global]


def exposure_warning(addresses: list[str]) -> str | None:
    """Returns a one-line warning for a machine with public addresses, None for one without."""
    if not addresses:
        return None
    return (
        f"warning: this machine has the public address {', '.join(addresses)}, and Ray and Reverb listen on all interfaces "
        "(Reverb has no authentication): close their ports with a firewall; SECURITY.md has the commands"
    )


def is_loopback(host: str) -> bool:
    """Returns whether a listener on this host, an address or a name, can be reached from this machine only.

    The only name that counts is ``localhost``; names are not resolved.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ipv4(proc: Path) -> list[str]:
    """Returns the local addresses of the routing table; each is on the line before its ``/32 host LOCAL``."""
    try:
        lines = (proc / "net/fib_trie").read_text().splitlines()
    except FileNotFoundError:  # a kernel without this file
        return []
    local = ["/32", "host", "LOCAL"]
    return [before.split()[-1] for before, line in itertools.pairwise(lines) if line.split() == local]


def _ipv6(proc: Path) -> list[str]:
    try:
        lines = (proc / "net/if_inet6").read_text().splitlines()
    except FileNotFoundError:  # IPv6 is off
        return []
    return [str(ipaddress.IPv6Address(int(line.split()[0], 16))) for line in lines if line.strip()]
