"""Who could reach this machine's listeners, and whether they would be asked for a token."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from robotini_ray.doctor.finding import Finding
from robotini_ray.machine.addresses import public_addresses
from robotini_ray.program.ray_token import LOCAL, MODE, OTHERS, TOKEN, token_path


def check_addresses(addresses: list[str] | None = None) -> list[Finding]:
    """Public addresses of this machine; None asks it."""
    found = public_addresses() if addresses is None else addresses
    if not found:
        return [Finding("network", "ok", "no public address; Ray and Reverb listen on all others")]
    what = f"public address {', '.join(found)}, and Ray and Reverb listen on all interfaces, Reverb for everybody"
    return [Finding("network", "warning", what, "close their ports with a firewall: SECURITY.md has the lines")]


def check_token(environment: MutableMapping[str, str] = os.environ) -> list[Finding]:
    """Whether Ray asks for a token, and whether only this user can read it."""
    mode = environment.get(MODE)
    joins = environment.get("RAY_ADDRESS", LOCAL) != LOCAL
    if mode not in (None, "token") or (mode is None and joins):
        what = f"{MODE} is {mode or 'not set'}: who reaches Ray's ports runs programs here"
        return [Finding("Ray's token", "warning", what, f"export {MODE}=token here and where the cluster is started")]
    if environment.get(TOKEN):
        return [Finding("Ray's token", "ok", f"in {TOKEN}")]
    path = token_path(environment)
    if not path.exists():
        return [Finding("Ray's token", "ok", f"training makes one in {path}")]
    if path.stat().st_mode & OTHERS:
        return [Finding("Ray's token", "warning", f"others can read {path}", f"chmod 600 {path}; training does it too")]
    return [Finding("Ray's token", "ok", f"in {path}")]
