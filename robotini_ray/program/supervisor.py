"""Supervises the parts: notices a part that has failed, reports it, counts it by cause and starts it again.

Parts are started after those that they need. The life of a part::

    DOWN --needs run, there is room, time has come--> STARTING --constructed--> MEETING --introduced--> RUNNING
      ^                                                  |                         |                      |
      +-------------- its process has ended, an error, no answer, its node is lost: counted --------------+

``tick`` never waits for a part, so that a part that has ended, is stopped or has no place in the cluster yet does not hold up
the others.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from robotini_ray.errors import RobotiniError
from robotini_ray.machine.processes import ProcessId
from robotini_ray.parts.interfaces import LoopingPart, Part, RunCannotGoOn
from robotini_ray.program.part import PartHandle, PartSpec, node_addresses, start_part
from robotini_ray.program.start_watch import StartWatch

SILENCE_TIMEOUT_S = 30.0
"""The longest time without an answer; a part answers from a thread of its own, whatever its loop does."""

MOST_FAILURES = 5
"""The number of consecutive lives that may end before any work was done; after that, starting again does not help."""

LONGEST_PAUSE_S = 16.0
LEAVE_TIMEOUT_S = 2.0
"""The time in which the processes of this machine leave at the end, before those that have not are killed."""

LEAVE_POLL_S = 0.02
FETCH_TIMEOUT_S = 10.0

KILLED, NODE_LOST, ERROR, SILENT, NOT_STARTED = "process ended", "node lost", "error", "no answer", "not started"


class PartFailed(RobotiniError):
    """Raised if a part cannot be kept running; the message is one line for the user."""


class State(enum.Enum):
    """The stages in the life of a part."""

    DOWN = "down"
    STARTING = "starting"
    MEETING = "meeting"
    RUNNING = "running"


class _Watched:
    """A part with its present state."""

    def __init__(self, spec: PartSpec) -> None:
        self.spec = spec
        self.state = State.DOWN
        self.handle: PartHandle[Any] | None = None
        self.process: ProcessId | None = None
        self.node: str | None = None
        self.first_report: Any = None
        self.address: Any = None
        self.since = time.monotonic()
        self.not_before = 0.0
        self.waits_for_place = False
        self.start_watch: StartWatch | None = None
        self.waits: list[Any] = []
        self.loop: Any = None
        self.report: Any = None
        self.asked_at = 0.0
        self.lives = 0
        self.failures = 0
        self.worked = False
        self.ever_worked = False

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def enter(self, state: State) -> None:
        self.state, self.since = state, time.monotonic()


class Supervisor:
    """Keeps the parts of a program running.

    Args:
        specs: All parts, those that others need first.
        log_dir: The run's directory for logs.
        say: Called with each line for the user.
        count: Called with the name of a part that is started again, and the cause.
        on_running: Called with the name of a part whose loop has just started.
    """

    def __init__(
        self,
        specs: list[PartSpec],
        log_dir: Path,
        say: Callable[[str], None],
        count: Callable[[str, str], None],
        on_running: Callable[[str], None],
    ) -> None:
        self._parts = {spec.name: _Watched(spec) for spec in specs}
        self._log_dir = log_dir
        self._say = say
        self._count = count
        self._on_running = on_running
        self._released: set[str] = set()
        self._begun = False

    def tick(self) -> dict[str, Any]:
        """Advances every part once; returns the reports that have arrived, by the part's name.

        Raises:
            PartFailed: A part that the program needs failed at its first start, has failed repeatedly, or its error is a
                ``RunCannotGoOn``.
        """
        reports: dict[str, Any] = {}
        for name, part in self._parts.items():
            if name in self._released:
                continue
            try:
                self._advance(part, reports)
            except GetTimeoutError:
                self._failed(part, SILENT, f"its answer has not arrived in {FETCH_TIMEOUT_S:g} s")
            except RayTaskError as error:
                if isinstance(error.cause, RunCannotGoOn):
                    raise PartFailed(f"{name} failed: {last_line(error)}") from error
                self._failed(part, ERROR, last_line(error))
            except RayActorError as error:
                if error.actor_init_failed:
                    self._failed(part, ERROR, last_line(error))
                else:
                    detail = last_line(error) if part.pid is None else f"it was process {part.pid}"
                    self._failed(part, NODE_LOST if "node has died" in str(error) else KILLED, detail)
            except RayError as error:
                self._failed(part, NODE_LOST, f"one of its answers was lost: {last_line(error)}")
        return reports

    def begin(self) -> None:
        """Marks the end of the start.

        From now on only a part that cannot be constructed, or that fails repeatedly, ends the program.
        """
        self._begun = True

    def running(self, name: str) -> PartHandle[Any] | None:
        """Returns the handle of a part that runs, else None."""
        part = self._parts[name]
        return part.handle if part.state is State.RUNNING else None

    def missing(self) -> list[str]:
        """Returns the names of the parts that do not run."""
        return [name for name, part in self._parts.items() if part.state is not State.RUNNING]

    def first_report(self, name: str) -> Any:
        """Returns the first report of a part's newest life, None before its first."""
        return self._parts[name].first_report

    def node(self, name: str) -> str:
        """Returns Ray's id of the node that a running part is on."""
        node = self._parts[name].node
        assert node is not None
        return node

    def starts(self, name: str) -> int:
        """Returns how often a part has been started."""
        return self._parts[name].lives

    def facts(self) -> dict[str, dict[str, Any]]:
        """Returns the state of every part for displays, by the part's name.

        ``since`` is the Unix time at which the part entered its state, and ``starts`` is how often it has been started.
        """
        now = time.time() - time.monotonic()
        return {
            name: {
                "state": part.state.value,
                "pid": part.pid,
                "node": part.node,
                "since": round(now + part.since, 1),
                "starts": part.lives,
            }
            for name, part in self._parts.items()
        }

    def processes(self) -> dict[str, tuple[ProcessId | None, State]]:
        """Returns the process and the state of every part; the process is None while it is unknown."""
        return {name: (part.process, part.state) for name, part in self._parts.items()}

    def restart(self, name: str, cause: str) -> None:
        """Ends a part's process and starts it again, because something that it depends on has changed."""
        part = self._parts[name]
        if part.state is not State.DOWN and name not in self._released:
            self._begin_again(part, cause, "it needs the new address")

    def stop_loops(self, names: list[str], timeout_s: float) -> None:
        """Makes parts end their loops, waits until they have, at most ``timeout_s`` seconds, and stops supervising them."""
        parts = [self._parts[name] for name in names if name not in self._released]
        self._released |= set(names)
        running = [part for part in parts if part.state is State.RUNNING and part.handle is not None]
        for part in running:
            assert part.handle is not None
            part.handle.tell(LoopingPart.stop)
        loops = [part.loop for part in running if part.loop is not None]
        if loops:
            ray.wait(loops, num_returns=len(loops), timeout=timeout_s)

    def last_reports(self, names: list[str], timeout_s: float) -> list[tuple[str, Any]]:
        """Returns the reports of what parts have done since their last ones.

        A part that does not answer in time is missing from the list; a part with an earlier request is in it twice.

        Args:
            names: The parts.
            timeout_s: The longest wait for all of them, in seconds.
        """
        asked: list[tuple[str, Any]] = []
        for name in names:
            part = self._parts[name]
            if part.state is State.RUNNING and part.handle is not None:
                earlier, part.report = part.report, None
                asked += [(name, earlier)] if earlier is not None else []
                asked.append((name, part.handle.tell(Part.report)))
        if asked:
            ray.wait([reference for _, reference in asked], num_returns=len(asked), timeout=timeout_s)
        reports: list[tuple[str, Any]] = []
        for name, reference in asked:
            try:
                reports.append((name, ray.get(reference, timeout=0.1)))
            except RayError as error:
                self._say(f"{name} gave no last report: {last_line(error)}")
        return reports

    def end_all(self) -> None:
        """Ends the process of every part; returns when those on this machine have ended.

        A process that has not ended after ``LEAVE_TIMEOUT_S``, such as a stopped one, is killed.
        """
        for part in self._parts.values():
            if part.handle is not None:
                part.handle.end()
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        while any(map(_is_here, self._parts.values())) and time.monotonic() < deadline:
            time.sleep(LEAVE_POLL_S)
        for part in self._parts.values():
            self._kill(part)

    def _advance(self, part: _Watched, reports: dict[str, Any]) -> None:
        if part.state is State.DOWN:
            self._start(part)
        elif part.state is State.STARTING:
            self._await_construction(part)
        elif part.state is State.MEETING:
            self._await_introduction(part)
        else:
            self._attend(part, reports)

    def _start(self, part: _Watched) -> None:
        if time.monotonic() < part.not_before or any(self.running(name) is None for name in part.spec.needs):
            return
        if not part.spec.has_place():
            if not part.waits_for_place:
                self._say(f"{part.spec.name} waits for a place in the cluster; the other parts go on")
            part.waits_for_place = True
            return
        part.waits_for_place = False
        spec = part.spec
        part.handle = start_part(spec.name, self._log_dir, spec.path, *spec.arguments(self), **spec.place())
        part.start_watch = StartWatch(part.handle.find_process, lambda: len(node_addresses()) == 1)
        part.lives += 1
        part.worked = False
        part.waits = [part.handle.tell(Part.report), part.handle.whereabouts()]
        part.enter(State.STARTING)

    def _await_construction(self, part: _Watched) -> None:
        if _done(part.waits):
            part.first_report, (part.node, part.process) = ray.get(part.waits, timeout=FETCH_TIMEOUT_S)
            part.waits = []
            part.enter(State.MEETING)
            self._await_introduction(part)
            return
        assert part.start_watch is not None
        if (failure := part.start_watch.failure()) is not None:
            self._failed(part, NOT_STARTED, failure)

    def _await_introduction(self, part: _Watched) -> None:
        assert part.handle is not None
        if not part.waits:
            reference = part.spec.introduce(self, part.handle)
            part.waits = [] if reference is None else [reference]
        if not part.waits or not _done(part.waits):
            self._check_alive(part)
            return
        waits, part.waits = part.waits, []
        try:
            ray.get(waits, timeout=FETCH_TIMEOUT_S)
        except RayError:  # the part that should introduce it has failed: the next tick tries again
            return
        part.loop = part.handle.start_loop() if part.spec.has_loop else None
        part.report, part.asked_at = None, time.monotonic()
        part.enter(State.RUNNING)
        self._on_running(part.spec.name)
        self._follow_address(part)

    def _follow_address(self, part: _Watched) -> None:
        """Restarts the parts that use a part which has just begun to run, if its address has changed."""
        if part.spec.address is None:
            return
        known, part.address = part.address, part.spec.address(part.first_report)
        if known not in (None, part.address):
            for name, user in self._parts.items():
                if part.spec.name in user.spec.needs:
                    self.restart(name, f"{part.spec.name} has moved")

    def _attend(self, part: _Watched, reports: dict[str, Any]) -> None:
        if part.loop is not None and _done([part.loop]):
            ray.get(part.loop, timeout=FETCH_TIMEOUT_S)
            self._failed(part, ERROR, "its loop has ended by itself")
            return
        report = self._check_alive(part)
        if report is not None:
            reports[part.spec.name] = report
            if part.spec.has_worked(report):
                part.worked = part.ever_worked = True

    def _check_alive(self, part: _Watched) -> Any | None:
        """Requests a report unless a request is pending; returns the report once it has arrived."""
        assert part.handle is not None
        if part.report is None:
            part.report, part.asked_at = part.handle.tell(Part.report), time.monotonic()
            return None
        if _done([part.report]):
            reference, part.report = part.report, None
            return ray.get(reference, timeout=FETCH_TIMEOUT_S)
        if time.monotonic() - part.asked_at > SILENCE_TIMEOUT_S:
            self._failed(part, SILENT, f"it has not answered for {SILENCE_TIMEOUT_S:g} s")
        return None

    def _failed(self, part: _Watched, cause: str, detail: str) -> None:
        name = part.spec.name
        part.failures = 1 if part.worked else part.failures + 1
        if part.lives == 1 and not part.ever_worked and self._ends_the_start(part.spec, cause):
            raise PartFailed(f"{name} failed: {detail}")
        if part.failures > MOST_FAILURES and cause in (ERROR, KILLED) and not part.spec.is_spare:
            raise PartFailed(f"{name} failed {part.failures} times in a row, the last time: {detail}")
        self._begin_again(part, cause, detail)
        if part.failures > 1:
            part.not_before = time.monotonic() + min(2.0 ** (part.failures - 2), LONGEST_PAUSE_S)

    def _ends_the_start(self, spec: PartSpec, cause: str) -> bool:
        """Returns whether a part that fails in its first life, before any work, ends the program."""
        if spec.is_spare:  # its node may come and go at any time
            return cause == ERROR and not self._begun
        return cause == ERROR or not self._begun

    def _begin_again(self, part: _Watched, cause: str, detail: str) -> None:
        self._kill(part)
        self._count(part.spec.name, cause)
        self._say(f"{part.spec.name}: {cause} ({detail}); starting it again")
        part.waits, part.loop, part.report = [], None, None
        part.enter(State.DOWN)

    def _kill(self, part: _Watched) -> None:
        if part.handle is not None:
            part.handle.kill(part.pid if _is_here(part) else None)
            part.handle = part.process = part.node = None


def _is_here(part: _Watched) -> bool:
    """Returns whether the process of a part runs on this machine."""
    return part.process is not None and part.process.is_alive is True


def _done(references: list[Any]) -> bool:
    return len(ray.wait(references, num_returns=len(references), timeout=0)[0]) == len(references)


def last_line(error: Exception) -> str:
    """Returns the last line of an error's text, which names the problem.

    Ray puts the remote traceback and the error's module in front of it.
    """
    line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return re.sub(r"^robotini_ray\.[\w.]+: ", "", line)
