"""Ray for one invocation of ``train``: joins a cluster, or starts a Ray on this machine."""

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
from robotini_ray.program.ray_token import LOCAL
from robotini_ray.program.supervisor import last_line

POLL_S = 0.1
SAY_AFTER_S = 2.0
CORES_FOR_DASHBOARD = 4
"""The dashboard takes over a gigabyte and ten seconds of start-up: on by itself where there is room."""


class RayAddresses(NamedTuple):
    """Where Ray can be looked at."""

    dashboard: str
    """HOST:PORT; empty where it does not run."""
    metrics: str
    """URL of the metrics of this node, for Prometheus."""


def start_ray(address: str) -> RayAddresses:
    """Joins the Ray cluster, or starts one on this machine.

    Raises:
        PlacementError: there is no cluster at the address, or it does not take us.
    """
    dashboard = (os.cpu_count() or 1) >= CORES_FOR_DASHBOARD
    os.environ.update(WORKER_ENVIRONMENT)
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 would let simulators starve learner and collectors
    # Ray's news of its next versions: of pydantic (which tf-agents' pins keep old) and of hiding GPUs
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    try:
        context = ray.init(
            address=address,
            include_dashboard=dashboard if address == LOCAL else None,
            log_to_driver=False,
            logging_level="warning",
        )
    except (ConnectionError, AuthenticationError) as error:
        if address == LOCAL:
            raise
        raise PlacementError(
            f"no Ray cluster to join at {address}: {last_line(error)} (cluster/README.md says how to start one; "
            "--address local needs none)"
        ) from error
    port = context.address_info["metrics_export_port"]
    return RayAddresses(context.dashboard_url or "", f"http://{context.address_info['node_ip_address']}:{port}/metrics")


def wait_for(reference: Any, timeout_s: float, what: str, look: Callable[[], None], say: Callable[[str], None]) -> None:
    """Waits until something of the cluster is done.

    Args:
        reference: to what is waited for.
        timeout_s: the longest wait.
        what: is waited for, in words.
        look: is called again and again, and raises to end the wait.
        say: is told after a while.

    Raises:
        PlacementError: it is not done in time.
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
