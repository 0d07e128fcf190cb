"""How a part of the program becomes a Ray actor: a process of its own, with one thread for its loop and others for calls."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

from robotini_ray.machine.processes import ProcessId, this_process
from robotini_ray.run.process_mark import process_mark

CALLS = "calls"
"""The concurrency group in which short calls are answered while a part's loop runs."""

WAITING_CALLS = "waiting_calls"
"""The one of calls that wait for the loop, so that they do not keep short ones waiting."""

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
        arguments: of the class; an instance with a method ``on_sigterm`` gets SIGTERM told and ends itself.
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
        on_sigterm = getattr(self._instance, "on_sigterm", None)
        if on_sigterm is not None:  # Ray's own handler ends the process wherever it is
            signal.signal(signal.SIGTERM, lambda number, frame: on_sigterm())

    def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the instance."""
        return getattr(self._instance, method)(*arguments)

    def whereabouts(self) -> tuple[str, ProcessId]:
        """Ray's id of the node, and the process there."""
        return ray.get_runtime_context().get_node_id(), this_process()

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

    def request(self, method: str, *arguments: Any) -> Any:
        """Like ``tell``, for a method that waits for the loop: others are answered meanwhile."""
        return self._actor.call.options(concurrency_group=WAITING_CALLS).remote(method, *arguments)

    def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Calls a method while the loop runs and waits for its result.

        Raises:
            TimeoutError: the part has not answered in time; names it.
        """
        try:
            return ray.get(self.tell(method, *arguments), timeout=timeout_s)
        except GetTimeoutError:
            raise TimeoutError(f"{self.name} has not answered {method} in {timeout_s:g} s") from None

    def whereabouts(self) -> Any:
        """A reference to the node's id and the ``ProcessId`` of the part."""
        return self._actor.whereabouts.options(concurrency_group=CALLS).remote()

    def kill(self, pid_here: int | None = None) -> None:
        """Ends the process at once.

        Args:
            pid_here: its process id where it is on this machine: Ray's kill does not reach a stopped process.
        """
        ray.kill(self._actor, no_restart=True)
        if pid_here is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid_here, signal.SIGKILL)


def start_part(
    name: str,
    log_dir: Path,
    path: str,
    *arguments: Any,
    num_gpus: float = 0.0,
    **place: Any,
) -> PartHandle:
    """Starts a part as a Ray actor, where Ray's options say; its constructor's errors come with the first call.

    Ray never starts it again by itself: ``supervision.py`` does, in the right order.
    """
    groups = {CALLS: 1, WAITING_CALLS: 1}
    actor_class = ray.remote(num_cpus=0, num_gpus=num_gpus, concurrency_groups=groups)(Part)
    actor = actor_class.options(
        name=f"{log_dir.parent.name}/{name}-{secrets.token_hex(2)}",  # Ray frees a dead actor's name only after a while
        runtime_env={"env_vars": {**WORKER_ENVIRONMENT, **process_mark()}},
        **place,
    ).remote(name, log_dir, path, arguments)
    return PartHandle(name, actor)


def any_report_counts(report: Any) -> bool:
    """Takes any report for a sign of work."""
    return True


def needs_no_introduction(part: PartHandle) -> Any:
    """For a part that nobody has to be told of."""
    return ray.put(None)


def always_has_place() -> bool:
    """For a part that asks for no place."""
    return True


@dataclasses.dataclass(frozen=True)
class PartSpec:
    """How a part is started, whenever that is.

    Attributes:
        name: of the part.
        start: makes it, with what is known when it is called.
        needs: parts that have to run when it is started.
        has_place: whether there is room for it now; it is not started before.
        introduce: asked before its loop starts until it gives a reference; the loop starts when that is done.
        has_loop: whether it has a loop.
        has_worked: whether a report shows that it does its work.
        is_spare: whether a program that has begun goes on without it, however often it fails.
    """

    name: str
    start: Callable[[], PartHandle]
    needs: tuple[str, ...] = ()
    has_place: Callable[[], bool] = always_has_place
    introduce: Callable[[PartHandle], Any | None] = needs_no_introduction
    has_loop: bool = True
    has_worked: Callable[[Any], bool] = any_report_counts
    is_spare: bool = False
