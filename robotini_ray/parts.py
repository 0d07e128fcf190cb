"""How a part of the program becomes a Ray actor: a process of its own, with one thread for its loop and one for calls."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

CALLS = "calls"
"""The concurrency group in which short calls are answered while a part's loop runs."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # small matrices: more threads only wait for each other
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
    "PYTHONWARNINGS": "ignore",
}


class Part:
    """What Ray runs: it imports a class by name and hands calls through to its one instance.

    So the launcher needs neither TensorFlow nor Reverb, and the classes nothing of Ray.

    Args:
        name: of the part; it logs to ``LOG_DIR/NAME.log``.
        log_dir: of the run.
        path: ``package.module:Class``.
        arguments: of the class.
    """

    def __init__(self, name: str, log_dir: Path, path: str, arguments: tuple[Any, ...]) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)  # on another node than the launcher's nobody has
        logging.basicConfig(
            filename=log_dir / f"{name}.log",
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
            force=True,
        )
        module, class_name = path.split(":")
        self._name = name
        self._instance = getattr(importlib.import_module(module), class_name)(*arguments)

    def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the instance."""
        return getattr(self._instance, method)(*arguments)

    def pid(self) -> int:
        """Of the process."""
        return os.getpid()

    def __repr__(self) -> str:
        return f"Part({self._name})"


class PartHandle:
    """A running part, as the launcher and other parts hold it."""

    def __init__(self, name: str, actor: Any) -> None:
        self.name = name
        self._actor = actor

    def start_loop(self) -> Any:
        """Starts ``run`` of the part; the reference is done when the loop ends."""
        return self._actor.call.remote("run")

    def tell(self, method: str, *arguments: Any) -> Any:
        """Calls a method while the loop runs, without waiting: a reference to the result."""
        return self._actor.call.options(concurrency_group=CALLS).remote(method, *arguments)

    def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Calls a method while the loop runs and waits for its result.

        Raises:
            TimeoutError: the part has not answered in time; names it.
        """
        try:
            return ray.get(self.tell(method, *arguments), timeout=timeout_s)
        except GetTimeoutError:
            raise TimeoutError(f"{self.name} has not answered {method} in {timeout_s:g} s") from None

    def process_id(self, timeout_s: float) -> int:
        """Of the part's process, once it has started."""
        return int(ray.get(self._actor.pid.remote(), timeout=timeout_s))

    def kill(self) -> None:
        """Ends the process at once."""
        ray.kill(self._actor, no_restart=True)


def start_part(
    name: str, log_dir: Path, path: str, *arguments: Any, num_gpus: float = 0.0, scheduling_strategy: Any = None
) -> PartHandle:
    """Starts a part as a Ray actor, on a node that the strategy allows; its constructor's errors come with the first call."""
    actor_class = ray.remote(num_cpus=0, num_gpus=num_gpus, concurrency_groups={CALLS: 1})(Part)
    actor = actor_class.options(
        name=f"{log_dir.parent.name}/{name}",
        runtime_env={"env_vars": WORKER_ENVIRONMENT},
        scheduling_strategy=scheduling_strategy,
    ).remote(name, log_dir, path, arguments)
    return PartHandle(name, actor)
