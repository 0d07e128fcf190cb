"""Keeps a run's own connections away from the proxies that the environment names.

Reverb's gRPC sends every connection to the proxy of ``http_proxy``, even those to this machine, unless ``no_proxy`` has the
address. gRPC and most clients of HTTP read these variables whenever they connect.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
"""The variables that name a proxy, in lower case; programs read them in either case."""

EXCEPTIONS = ("no_proxy", "NO_PROXY", "no_grpc_proxy")
"""The variables with addresses that no proxy is used for, separated by commas; gRPC prefers the last one."""

EVERYTHING = "*"
"""The value of an exception that stands for all addresses, alone only; gRPC does not know it."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def bypass_proxies(environment: MutableMapping[str, str], addresses: Iterable[str]) -> str | None:
    """Adds addresses and those of the loopback to the exceptions from the proxies of an environment.

    Args:
        environment: The environment, which is changed if it names a proxy.
        addresses: IP addresses or host names of the run's machines.

    Returns:
        A line that tells the user which addresses were added; None if no proxy is named or all were exceptions already.
    """
    proxies = [name for name in environment if name.lower() in PROXIES and environment[name]]
    if not proxies:
        return None
    wanted = list(dict.fromkeys([*LOOPBACK, *addresses]))
    general = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    before = {name: _entries(environment.get(name) or general) for name in EXCEPTIONS}
    added = [address for address in wanted if any(address not in entries for entries in before.values())]
    for name, entries in before.items():
        alone = entries == [EVERYTHING] and name != "no_grpc_proxy"
        environment[name] = ",".join(entries if alone else dict.fromkeys([*entries, *wanted]))
    if not added or EVERYTHING in before["no_proxy"]:
        return None
    return f"{', '.join(sorted(proxies))}: not used for {', '.join(added)}, which are the run's own (added to no_proxy)"


def _entries(value: str) -> list[str]:
    return [entry for entry in value.replace(",", " ").split() if entry]
