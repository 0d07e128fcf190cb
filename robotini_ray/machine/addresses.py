"""The addresses of this machine, as far as they say who could reach it."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path

PROC = Path("/proc")


def public_addresses(proc: Path = PROC) -> list[str]:
    """Those of its addresses that the Internet routes, sorted; a router in between may still keep strangers out."""
    return sorted(address for address in {*_ipv4(proc), *_ipv6(proc)} if ipaddress.ip_address(address).is_global)


def exposure_warning(addresses: list[str]) -> str | None:
    """One line for a machine with public addresses, None for one without."""
    if not addresses:
        return None
    return (
        f"warning: this machine has the public address {', '.join(addresses)}, and Ray and Reverb listen on all interfaces "
        "(Reverb asks nobody who they are): close their ports with a firewall, SECURITY.md has the lines"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener on this host, which may be a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ipv4(proc: Path) -> list[str]:
    """The routing table's local addresses: each stands in the line before its "/32 host LOCAL"."""
    try:
        lines = (proc / "net/fib_trie").read_text().splitlines()
    except FileNotFoundError:  # a kernel without it
        return []
    local = ["/32", "host", "LOCAL"]
    return [before.split()[-1] for before, line in itertools.pairwise(lines) if line.split() == local]


def _ipv6(proc: Path) -> list[str]:
    try:
        lines = (proc / "net/if_inet6").read_text().splitlines()
    except FileNotFoundError:  # IPv6 is off
        return []
    return [str(ipaddress.IPv6Address(int(line.split()[0], 16))) for line in lines if line.strip()]
