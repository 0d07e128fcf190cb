"""Checks whether the default ports of the program and of simulators are free, and names the processes that hold them."""

from __future__ import annotations

from robotini_ray.doctor.finding import Finding
from robotini_ray.machine.ports import holder_of_port, is_free

PORTS = {
    8080: ("monitor", "end that process, or give the monitor another port"),
    6006: ("TensorBoard", "end that process, or give `train` another --tensorboard-port"),
    8265: ("Ray dashboard", "end that process; otherwise Ray takes the next free port"),
    11000: (
        "cars of a simulator",
        "give `simulate` another --car-port; training takes free ports",
    ),
    11001: ("spectators of a simulator", "give `simulate` another --log-port; training takes free ports"),
}


def check_ports() -> list[Finding]:
    """Returns a warning for each default port that is taken, with its holder, or one finding that all are free."""
    taken = [_taken(port) for port in PORTS if not is_free(port)]
    return taken or [Finding("ports", "ok", f"{', '.join(map(str, PORTS))} are free")]


def _taken(port: int) -> Finding:
    name, cure = PORTS[port]
    return Finding(f"port {port}", "warning", f"{name}: taken by {holder_of_port(port)}", cure)
