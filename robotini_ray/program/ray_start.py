"""Starts Ray for one invocation of ``train``, or joins a running cluster, and waits for Ray's results."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import ray
from ray.exceptions import AuthenticationError

from robotini_ray.program.part import WORKER_ENVIRONMENT
from robotini_ray.program.placement import PlacementError
from robotini_ray.program.ray_folder import NAME, ray_folder, ray_logs
from robotini_ray.program.ray_head import PATIENCE, RayStartError, start_head
from robotini_ray.program.ray_token import LOCAL
from robotini_ray.program.supervisor import last_line

POLL_S = 0.1
SAY_AFTER_S = 2.0
CORES_FOR_DASHBOARD = 4
"""The smallest number of cores with which Ray's dashboard is started on this machine.

The dashboard needs more than a gigabyte of memory and ten seconds of start-up.
"""


QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}


class RayAddresses(NamedTuple):
    """The addresses at which Ray can be observed."""

    dashboard: str
    """The dashboard's ``HOST:PORT``; empty if it does not run."""
    metrics: str
    """The URL of this node's metrics, for Prometheus."""


def start_ray(address: str, look: Callable[[], None], say: Callable[[str], None]) -> RayAddresses:
    """Joins the Ray cluster at an address, or starts one on this machine.

    Args:
        address: ``local``, or the address of a Ray cluster.
        look: Called when the start on this machine has to be repeated; raises an error to end it.
        say: A function that shows a line to the user.

    Raises:
        PlacementError: There is no cluster at the address, or it refuses this process's token.
        RayStartError: The Ray on this machine does not start; on a busy machine only after several attempts.
        SocketFolderError: There is no folder for its files.
    """
    dashboard = (os.cpu_count() or 1) >= CORES_FOR_DASHBOARD
    os.environ.update(WORKER_ENVIRONMENT)
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 would let simulators starve learner and collectors
    # Ray warns of changes in its next versions: about pydantic (which tf-agents' pins keep old) and about hiding GPUs
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    context = _start_here(dashboard, look, say) if address == LOCAL else _join(address)
    port = context.address_info["metrics_export_port"]
    return RayAddresses(context.dashboard_url or "", f"http://{context.address_info['node_ip_address']}:{port}/metrics")


def _start_here(dashboard: bool, look: Callable[[], None], say: Callable[[str], None]) -> Any:
    chosen = ray_folder()
    if chosen.warning is not None:
        say(f"warning: {chosen.warning} for Ray's files")
    folder = chosen.path / NAME
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)

    def start() -> Any:
        try:
            # With num_cpus Ray would start as many idle workers, which no part can use: each has an environment of its own
            return ray.init(address=LOCAL, num_cpus=0, include_dashboard=dashboard, _temp_dir=str(folder), **QUIET)
        except Exception as error:  # Ray raises this very class
            raise RayStartError(
                f"Ray did not start: {last_line(error)} (logs: {ray_logs(folder)}); start again, on a machine that is less "
                "busy if it was the time that ran out"
            ) from error

    return start_head(start, look, say)


def _join(address: str) -> Any:
    try:
        return ray.init(address=address, **QUIET)
    except (ConnectionError, AuthenticationError) as error:
        raise PlacementError(
            f"no Ray cluster to join at {address}: {last_line(error)} (cluster/README.md says how to start one; "
            "--address local needs none)"
        ) from error


def wait_for(reference: Any, timeout_s: float, what: str, look: Callable[[], None], say: Callable[[str], None]) -> None:
    """Waits until a Ray reference is done.

    Args:
        reference: The reference.
        timeout_s: The longest wait, in seconds.
        what: The name of what is waited for, for messages.
        look: Called every 0.1 s; raises an error to end the wait.
        say: Called with one line if the wait takes longer than 2 s.

    Raises:
        PlacementError: The reference is not done in time.
    """
    began, said = time.monotonic(), False
    while not ray.wait([reference], timeout=POLL_S)[0]:
        look()
        waited_s = time.monotonic() - began
        if waited_s > timeout_s:
            raise PlacementError(f"waited {timeout_s:g} s in vain for {what}")
        if waited_s > SAY_AFTER_S and not said:
            said = True
            say(f"waiting for {what}")
