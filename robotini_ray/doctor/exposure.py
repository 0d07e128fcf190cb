"""Checks whether other machines can reach this one's listeners, and whether Ray requires a token."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from robotini_ray.doctor.finding import Finding
from robotini_ray.machine.addresses import public_addresses
from robotini_ray.program.ray_token import LOCAL, MODE, OTHERS, TOKEN, token_path


def check_addresses(addresses: list[str] | None = None) -> list[Finding]:
    """Checks whether this machine has public addresses.

    Args:
        addresses: The public addresses; None reads them from the machine.
    """
    found = public_addresses() if addresses is None else addresses
    if not found:
        return [Finding("network", "ok", "no public address; Ray and Reverb listen on all addresses")]
    what = f"public address {', '.join(found)}; Ray and Reverb listen on all interfaces, and Reverb has no access control"
    return [Finding("network", "warning", what, "close their ports with a firewall: SECURITY.md lists the rules")]


def check_token(environment: MutableMapping[str, str] = os.environ) -> list[Finding]:
    """Checks whether Ray requires a token, and whether only this user can read the token's file."""
    mode = environment.get(MODE)
    joins = environment.get("RAY_ADDRESS", LOCAL) != LOCAL
    if mode not in (None, "token") or (mode is None and joins):
        what = f"{MODE} is {mode or 'not set'}: everybody who reaches Ray's ports can run programs here"
        return [Finding("Ray's token", "warning", what, f"export {MODE}=token here and where the cluster is started")]
    if environment.get(TOKEN):
        return [Finding("Ray's token", "ok", f"in {TOKEN}")]
    path = token_path(environment)
    if not path.exists():
        return [Finding("Ray's token", "ok", f"training will create one in {path}")]
    if path.stat().st_mode & OTHERS:
        return [
            Finding("Ray's token", "warning", f"other users can read {path}", f"chmod 600 {path}; training does so as well")
        ]
    return [Finding("Ray's token", "ok", f"in {path}")]
