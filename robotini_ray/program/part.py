"""Runs a part of the program as a Ray actor: a process of its own, with one thread for its loop and others for calls."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import os
import secrets
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

import ray
from ray.exceptions import GetTimeoutError

from robotini_ray.machine.addresses import own_addresses
from robotini_ray.machine.processes import ProcessId, environment_of, own_processes, this_process
from robotini_ray.machine.proxies import bypass_proxies
from robotini_ray.parts.interfaces import WeightsReceiver
from robotini_ray.run.process_mark import process_mark
from robotini_ray.run.track_copy import track_files, write_files

PartType = TypeVar("PartType", covariant=True)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

CALLS = "calls"
"""The concurrency group that answers short calls while a part's loop runs."""

WAITING_CALLS = "waiting_calls"
"""The concurrency group of calls that wait for the loop, so that they do not hold up short ones."""

PART_VARIABLE = "ROBOTINI_RAY_PART"
"""The environment variable with the name of a part's Ray actor, by which its process is found before it answers."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the matrices are small: more threads only wait for each other
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
    "PYTHONWARNINGS": "ignore",
}


class PartActor:
    """The Ray actor of a part: imports the part's class by name and passes calls through to its one instance.

    The launcher therefore needs neither TensorFlow nor Reverb, and the classes know nothing of Ray.

    Args:
        name: The part's name; it logs to ``LOG_DIR/NAME.log``.
        log_dir: The run's directory for logs.
        path: The class, as ``package.module:Class``.
        arguments: The arguments of the class. SIGTERM calls the method ``on_sigterm`` of an instance that has one.
        addresses: The addresses of the program's nodes, which no proxy of the part's environment is used for.
        files: The contents of the files that the part reads, by path.
    """

    def __init__(
        self,
        name: str,
        log_dir: Path,
        path: str,
        arguments: tuple[Any, ...],
        addresses: list[str],
        files: Mapping[Path, bytes],
    ) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)  # on another node than the launcher's it may be missing
        write_files(files)  # the same holds for the copy of the track
        logging.basicConfig(
            filename=log_dir / f"{name}.log",
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
            force=True,
        )
        bypassed = bypass_proxies(os.environ, [*own_addresses(), *addresses])
        if bypassed is not None:
            logging.info(bypassed)
        module, class_name = path.split(":")
        self._name = name
        self._instance = getattr(importlib.import_module(module), class_name)(*arguments)
        on_sigterm = getattr(self._instance, "on_sigterm", None)
        if on_sigterm is not None:  # Ray's own handler ends the process wherever it is
            signal.signal(signal.SIGTERM, lambda number, frame: on_sigterm())

    def call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Calls a method of the instance."""
        return getattr(self._instance, method)(*arguments, **keywords)

    def whereabouts(self) -> tuple[str, ProcessId]:
        """Returns Ray's id of the node, and the process there."""
        return ray.get_runtime_context().get_node_id(), this_process()

    def __repr__(self) -> str:
        return f"PartActor({self._name})"


class PartHandle(Generic[PartType]):
    """A running part, as the launcher and other parts hold it (``parts.interfaces.Handle``)."""

    def __init__(self, name: str, actor: Any, actor_name: str) -> None:
        self.name = name
        self._actor = actor
        self._actor_name = actor_name

    def start_loop(self) -> Any:
        """Starts ``run`` of the part; the returned reference is done when the loop ends."""
        return self._actor.call.remote("run")

    def tell(
        self,
        method: Callable[Concatenate[PartType, Parameters], Result],
        *arguments: Parameters.args,
        **keywords: Parameters.kwargs,
    ) -> Any:
        """Calls a method while the loop runs and returns a reference to its result, without waiting for it."""
        return self._remote(CALLS, method, arguments, keywords)

    def request(
        self,
        method: Callable[Concatenate[PartType, Parameters], Result],
        *arguments: Parameters.args,
        **keywords: Parameters.kwargs,
    ) -> Any:
        """Does the same as ``tell`` for a method that waits for the loop: other calls are answered meanwhile."""
        return self._remote(WAITING_CALLS, method, arguments, keywords)

    def ask(
        self,
        timeout_s: float,
        method: Callable[Concatenate[PartType, Parameters], Result],
        *arguments: Parameters.args,
        **keywords: Parameters.kwargs,
    ) -> Result:
        """Calls a method while the loop runs and waits for its result.

        Raises:
            TimeoutError: The part has not answered in time; the message names it.
        """
        try:
            result: Result = ray.get(self.tell(method, *arguments, **keywords), timeout=timeout_s)
        except GetTimeoutError:
            raise TimeoutError(f"{self.name} has not answered {method.__name__} in {timeout_s:g} s") from None
        return result

    def whereabouts(self) -> Any:
        """Returns a reference to the node's id and the ``ProcessId`` of the part."""
        return self._actor.whereabouts.options(concurrency_group=CALLS).remote()

    def find_process(self) -> int | None:
        """Returns the process of the part, which may still be starting; None if there is none on this machine."""
        found = (pid for pid in sorted(own_processes()) if environment_of(pid).get(PART_VARIABLE) == self._actor_name)
        return next(found, None)

    def end(self) -> None:
        """Has Ray end the process, without waiting until it has ended.

        The process takes leave of Ray first, so that Ray has nothing to report. Ray tells the user of every process that has
        vanished without taking leave, as of one that "died or was killed ... by an unexpected system error".
        """
        ray.kill(self._actor, no_restart=True)

    def kill(self, pid_here: int | None = None) -> None:
        """Ends the process at once, which Ray reports to the user.

        Args:
            pid_here: The process id if the part is on this machine: Ray's kill does not reach a stopped process.
        """
        self.end()
        if pid_here is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid_here, signal.SIGKILL)

    def _remote(self, group: str, method: Callable[..., Any], arguments: Any, keywords: Any) -> Any:
        return self._actor.call.options(concurrency_group=group).remote(method.__name__, *arguments, **keywords)


def node_addresses() -> list[str]:
    """Returns the addresses of the nodes of the Ray cluster that this process has joined."""
    return sorted({node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]})


def start_part(
    name: str,
    log_dir: Path,
    path: str,
    *arguments: Any,
    num_gpus: float = 0.0,
    **place: Any,
) -> PartHandle[Any]:
    """Starts a part as a Ray actor; errors of its constructor come with the first call.

    Ray never starts it again by itself: ``supervisor.py`` does, in the right order.

    Args:
        name: The part's name.
        log_dir: The run's directory for logs; the copy of the track beside it travels with the part.
        path: The class, as ``package.module:Class``.
        arguments: The arguments of the class.
        num_gpus: The GPUs that Ray reserves for it.
        place: Ray's options for the node, of a ``Placement``.
    """
    groups = {CALLS: 1, WAITING_CALLS: 1}
    actor_class = ray.remote(num_cpus=0, num_gpus=num_gpus, concurrency_groups=groups)(PartActor)
    actor_name = f"{log_dir.parent.name}/{name}-{secrets.token_hex(2)}"  # Ray frees a dead actor's name only after a while
    actor = actor_class.options(
        name=actor_name,
        runtime_env={"env_vars": {**WORKER_ENVIRONMENT, **process_mark(), PART_VARIABLE: actor_name}},
        **place,
    ).remote(name, log_dir, path, arguments, node_addresses(), track_files(log_dir.parent))
    return PartHandle(name, actor, actor_name)


class Program(Protocol):
    """The state of the program that a part's start depends on."""

    def running(self, name: str) -> PartHandle[Any] | None:
        """Returns the handle of a part that runs, else None."""

    def first_report(self, name: str) -> Any:
        """Returns the first report of a part's newest life, None before its first."""

    def starts(self, name: str) -> int:
        """Returns how often a part has been started."""


def always_has_place() -> bool:
    """Returns True: the default of a part that may start anywhere."""
    return True


def needs_no_introduction(program: Program, part: PartHandle[WeightsReceiver]) -> Any:
    """Returns a reference that is done: the default of a part whose loop may start at once."""
    return ray.put(None)


def any_report_counts(report: Any) -> bool:
    """Returns True: the default of a part whose every report is a sign of work."""
    return True


@dataclasses.dataclass(frozen=True)
class PartSpec:
    """One part, as the topology declares it.

    Attributes:
        name: The part's name.
        path: Its class, as ``package.module:Class``.
        arguments: Returns the arguments of the class, from what the program knows at each start.
        place: Returns Ray's options for its node and its GPUs, at each start.
        needs: The parts that have to run when it is started. It is started again when one of them has moved.
        has_place: Returns whether there is room for it now; it is not started before.
        introduce: Called repeatedly before its loop starts, until it returns a reference; the loop starts when that is done.
        address: Returns, from its first report, where other parts connect to it; None for a part without such an address.
        has_loop: Whether it has a loop.
        has_worked: Returns whether a report shows that it does its work.
        is_spare: Whether a program that has begun goes on without it, however often it fails.
    """

    name: str
    path: str
    arguments: Callable[[Program], tuple[Any, ...]] = lambda program: ()
    place: Callable[[], Mapping[str, Any]] = dict
    needs: tuple[str, ...] = ()
    has_place: Callable[[], bool] = always_has_place
    introduce: Callable[[Program, PartHandle[Any]], Any | None] = needs_no_introduction
    address: Callable[[Any], Any] | None = None
    has_loop: bool = True
    has_worked: Callable[[Any], bool] = any_report_counts
    is_spare: bool = False
