"""Runs one invocation of ``train``: starts the program, watches over it, and ends it in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from robotini_ray.car.connection import reachable
from robotini_ray.config import Config
from robotini_ray.machine.addresses import own_addresses
from robotini_ray.machine.processes import identify
from robotini_ray.machine.proxies import bypass_proxies
from robotini_ray.machine.redis_server import RedisServer
from robotini_ray.machine.stop_signal import Stopped, StopSignal
from robotini_ray.parts.interfaces import EvaluatorPart
from robotini_ray.program.checkpoint_keeper import CheckpointKeeper
from robotini_ray.program.part import PartHandle, node_addresses
from robotini_ray.program.placement import Placement, check_cluster, place_in_cluster, plan_one_machine
from robotini_ray.program.ray_start import RayAddresses, start_ray, wait_for
from robotini_ray.program.ray_token import LOCAL
from robotini_ray.program.run_records import RunRecords
from robotini_ray.program.side_processes import SideProcesses
from robotini_ray.program.sites import find_sites, listed_sites, roles_here, start_simulator
from robotini_ray.program.stall_watch import StallWatch
from robotini_ray.program.supervised_parts import A_COLLECTOR, SupervisedParts
from robotini_ray.program.supervisor import State, last_line
from robotini_ray.program.topology import EVALUATOR, LEARNER, Topology
from robotini_ray.run.course import Course
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.program_file import PartState, ProgramFile, live_figures
from robotini_ray.run.progress import Progress, StepRate
from robotini_ray.run.reports import CollectorReport, LearnerReport
from robotini_ray.simulator.embedded import EmbeddedSimulator
from robotini_ray.track.track import load_track
from robotini_ray.watch.live_table import Display, table_rows
from robotini_ray.watch.web_pages import PagePorts, Pages

T = TypeVar("T")

POLL_S = 0.5
START_POLL_S = 0.1
SUMMARY_INTERVAL_S = 5.0
END_TIMEOUT_S = 11.0
"""The time for everything that is done before the processes are ended.

They then leave within ``supervisor.LEAVE_TIMEOUT_S``, and Ray needs up to 3 s more.
"""

LOOP_END_TIMEOUT_S = 3.0
LAST_REPORTS_TIMEOUT_S = 2.0
EVALUATION_MARGIN_S = 15.0


def train(config: Config, run: RunDirectory, address: str, display: Display, ports: PagePorts) -> int:
    """Trains until the time or the steps of the config are used up, or a signal ends it.

    Args:
        config: The run's config.
        run: The run directory, already opened.
        address: ``local``, or the address of a Ray cluster.
        display: The display in the terminal.
        ports: The ports of the web pages that show the run.

    Returns:
        The exit code: 0, or 128 plus the signal's number.

    Raises:
        SimulatorUnreachable: A simulator that the config names cannot be reached.
        PartFailed: A part does not start, or fails repeatedly.
        PlacementError: There is no cluster at the address, or it lacks resources that the config requires.
    """
    stop = StopSignal()
    stop.install()
    launcher = Launcher(config, run, display, stop, Pages(run.path, ports, display.say))
    try:
        launcher.start(address)
        launcher.watch()
        if not stop:
            launcher.judge()
    except Stopped:
        pass
    finally:
        launcher.end()
    return stop.exit_code


class Launcher:
    """One invocation of ``train``, which calls ``start``, ``watch``, ``judge`` and ``end`` in this order."""

    def __init__(self, config: Config, run: RunDirectory, display: Display, stop: StopSignal, pages: Pages) -> None:
        self._pages = pages
        self._config = config
        self._run = run
        self._say = display.say
        self._display = display
        self._stop = stop
        course = Course.of(load_track(config.simulator.track), config)
        self._limit_s = course.limit_s
        saved = run.progress()
        self._is_new = saved is None
        self._progress = Progress(**saved) if saved is not None else Progress()
        if self._progress.begin_on(course):
            self._say(
                f"the best lap and policy so far are of another track or evaluation.laps than {config.simulator.track} and "
                f"{config.evaluation.laps}: both begin anew"
            )
        self._records = RunRecords(run, self._progress, self._limit_s, lambda: self._part(LEARNER), self._say)
        self._cleanups: list[Callable[[], Any]] = []
        self._side = SideProcesses(self._say, self._progress.add_restart)
        self._checkpoints = CheckpointKeeper(config.learner.checkpoint_interval_s, self._say, self._progress.add_fault)
        self._stall: StallWatch | None = None
        self._parts: SupervisedParts | None = None
        self._learner_report: LearnerReport | None = None
        self._next_summary_at = 0.0
        self._start_wall_s = 0.0
        """Wall time of this invocation before it trained, which ``run.minutes`` does not count."""
        self._rate = StepRate()
        self._program_file = ProgramFile(run.path)
        self._who: dict[str, PartState] = {}

    def start(self, address: str) -> None:
        """Starts every part and waits until enough of them run for training to begin; prints what it waits for.

        Args:
            address: ``local``, or the address of a Ray cluster.

        Raises:
            SimulatorUnreachable: A simulator that the config names cannot be reached.
            PlacementError: There is no cluster at the address, or it lacks resources that the config requires.
            PartFailed: A part does not start.
            Stopped: A signal has arrived.
        """
        listed = listed_sites(self._config)
        for site in listed:
            reachable(str(site.address))
        self._bypass_proxies(own_addresses())
        placement = Placement(plan_one_machine(self._config))
        self._say("starting Redis and Ray" if listed else "starting Redis, the embedded simulators and Ray")
        if address != LOCAL:
            check_cluster(address)
            addresses = self._start_ray(address)
            placement = place_in_cluster(self._config, self._run.path, self._wait_for)
        self._display.wait("Redis")
        redis = self._start(lambda: self._redis(placement), lambda server: server.stop)
        self._side.add("redis", redis, "training goes on without the cars' live state")
        self._start(lambda: self._pages.start(redis.url), lambda _: self._pages.close)
        simulators = {role: self._simulator(role) for role in roles_here(self._config, placement.plan)}
        self._update_program_file(lambda: self._program_file.begin(redis.url))
        if address == LOCAL:
            addresses = self._start_ray(address)
        self._display.wait("the simulators")
        sites = find_sites(self._config, placement.plan, simulators)
        for role, simulator in simulators.items():
            self._side.add(f"simulator-{role}", simulator, "its cars stand still")
        topology = Topology(self._config, self._run.path, placement, sites, redis, self._is_new)
        parts = SupervisedParts(topology, self._progress, self._say)
        self._parts = parts
        self._say(f"starting the replay server, {len(parts.collectors)} collectors, the evaluator and the learner")
        self._wait_until_it_trains(parts)
        self._stall = StallWatch()  # created only now, because until now cars and learner had reason to wait
        self._pages.announce(*addresses)
        if self._pages.monitor is not None:
            self._side.add("monitor", self._pages.monitor, "its page cannot be opened")
        self._say(f"training; logs, checkpoints and policies are in {self._run.path}")

    def watch(self) -> None:
        """Supervises the program until the time or the train steps are used up, or a signal has arrived."""
        while not self._stop and not self._finished():
            began = time.monotonic()
            self._look_after()
            self._show()
            if began >= self._next_summary_at:
                self._next_summary_at = began + SUMMARY_INTERVAL_S
                self._record()
            self._checkpoints.tick(self._part(LEARNER), self._progress.to_json)
            time.sleep(max(0.0, POLL_S - (time.monotonic() - began)))

    def judge(self) -> None:
        """Stops training and waits until the evaluator has judged the last weights, so that they are kept as a policy.

        The wait ends at the latest after ``evaluation.max_seconds`` plus ``EVALUATION_MARGIN_S``, or when a signal arrives.
        """
        assert self._parts is not None
        self._parts.supervisor.stop_loops([*self._parts.collectors, LEARNER], LOOP_END_TIMEOUT_S)
        self._take_last_reports()
        if not self._progress.train_steps:
            self._say("replay did not hold enough for a single train step; give the same command again to go on training")
            return
        self._say("training is over; evaluating the last weights")
        hurried: PartHandle[EvaluatorPart] | None = None
        deadline = time.monotonic() + self._config.evaluation.max_seconds + EVALUATION_MARGIN_S
        while not self._stop and time.monotonic() < deadline:
            evaluator = self._part(EVALUATOR)
            if evaluator is not None and evaluator is not hurried:
                evaluator.tell(EvaluatorPart.hurry)
                hurried = evaluator
            self._look_after()
            if (self._progress.last_evaluation or {}).get("train_step") == self._progress.train_steps:
                return
            time.sleep(POLL_S)

    def end(self) -> None:
        """Stops the cars, writes the last checkpoint and the summary, and ends every process."""
        self._display.wait("the processes to end")
        try:
            if self._parts is not None:
                self._end_in_order(self._parts)
        finally:
            for cleanup in reversed(self._cleanups):
                cleanup()
        self._records.write_summary()
        self._update_program_file(self._program_file.end)

    def _end_in_order(self, parts: SupervisedParts) -> None:
        """Stops the cars, then the learner, and then writes a checkpoint, which matches the state in which both stopped."""
        deadline = time.monotonic() + END_TIMEOUT_S
        self._say("ending: stopping the cars, writing a checkpoint")
        parts.supervisor.stop_loops(parts.cars, LOOP_END_TIMEOUT_S)
        parts.supervisor.stop_loops([LEARNER], LOOP_END_TIMEOUT_S)
        self._take_last_reports()
        self._record()
        learner = self._part(LEARNER)
        try:
            if learner is None:
                self._say("no last checkpoint was written, an earlier one stays: the learner is not running")
            else:
                self._checkpoints.last(learner, self._progress.to_json(), max(1.0, deadline - time.monotonic()))
        except RayError as error:
            self._progress.add_fault("checkpoint failed")
            self._say(f"no last checkpoint was written, an earlier one stays: {last_line(error)}")
        parts.supervisor.end_all()

    def _wait_until_it_trains(self, parts: SupervisedParts) -> None:
        said = False
        while awaited := parts.awaited():
            self._check_stopped()
            if A_COLLECTOR not in awaited and not said:
                said = True
                self._say("the cars are driving; training begins when the learner has built its graph")
            self._display.wait(", ".join(awaited))
            self._pages.announce_what_is_ready()
            self._look_after()
            time.sleep(START_POLL_S)
        parts.supervisor.begin()
        self._start_wall_s = self._progress.this_wall_s

    def _start_ray(self, address: str) -> RayAddresses:
        self._display.wait("Ray")
        addresses = start_ray(address, self._check_stopped, self._say)
        self._cleanups.append(ray.shutdown)
        self._stop.install()  # ray.init has replaced the signal handlers with its own
        self._bypass_proxies(node_addresses())
        self._check_stopped()
        return addresses

    def _bypass_proxies(self, addresses: list[str]) -> None:
        """Takes the program's machines out of the proxies that this process and its children use."""
        line = bypass_proxies(os.environ, addresses)
        if line is not None:
            self._say(line)

    def _redis(self, placement: Placement) -> RedisServer:
        """Starts the store for the cars' live state; it accepts other nodes only if parts of the program run on them."""
        host = placement.driver_host if placement.plan.leaves_the_driver else None
        server = RedisServer(self._run.path / "logs" / "redis.log", host, self._run.path / "redis.password")
        server.start()
        return server

    def _simulator(self, role: str) -> EmbeddedSimulator:
        logs = self._run.path / "logs"
        return self._start(lambda: start_simulator(self._config, role, logs, self._say), lambda simulator: simulator.close)

    def _start(self, make: Callable[[], T], cleanup: Callable[[T], Callable[[], Any]]) -> T:
        made = make()
        self._cleanups.append(cleanup(made))
        self._check_stopped()
        return made

    def _wait_for(self, reference: Any, timeout_s: float, what: str) -> None:
        wait_for(reference, timeout_s, what, self._check_stopped, self._say)

    def _check_stopped(self) -> None:
        if self._stop:
            raise Stopped

    def _part(self, name: str) -> PartHandle[Any] | None:
        """Returns a part's handle if the part is running, else None."""
        return None if self._parts is None else self._parts.supervisor.running(name)

    def _look_after(self) -> None:
        """Checks all parts and processes once."""
        assert self._parts is not None
        self._side.tick()
        self._take(list(self._parts.supervisor.tick().items()))
        if (who := self._processes()) != self._who:
            self._who = who
            self._write_program()
        if self._part(LEARNER) is None:
            self._learner_report = None

    def _take(self, reports: list[tuple[str, Any]]) -> None:
        """Adds the reports of the parts to the progress and the records."""
        progress = self._progress
        collections: list[CollectorReport] = []
        for name, report in reports:
            if name == LEARNER:
                self._learner_report = report
                progress.add_learner(report)
                if report.leaving:
                    self._checkpoints.hurry()
            elif name == EVALUATOR:
                for evaluation in report:
                    progress.add_evaluation(evaluation, self._limit_s)
                    self._records.add_evaluation(evaluation)
            elif isinstance(report, CollectorReport):
                collections.append(report)
        progress.add_collections(collections)
        self._rate.update(progress.env_steps)
        for line in self._stall.look(self._learner_report, collections) if self._stall is not None else []:
            self._say(line)
            progress.add_fault("stall")

    def _take_last_reports(self) -> None:
        assert self._parts is not None
        self._take(self._parts.supervisor.last_reports([*self._parts.cars, LEARNER], LAST_REPORTS_TIMEOUT_S))

    def _record(self) -> None:
        """Writes the current state of the run to its files."""
        self._records.record(self._learner_report, self._rate.per_s)
        self._write_program()

    def _processes(self) -> dict[str, PartState]:
        """Returns the process and the state of every part and side process."""
        assert self._parts is not None
        running = State.RUNNING.value
        return {
            **{name: PartState(None if pid is None else identify(pid), running) for name, pid in self._side.pids().items()},
            **{name: PartState(process, state.value) for name, (process, state) in self._parts.supervisor.processes().items()},
        }

    def _write_program(self) -> None:
        learner, has_begun = self._learner_report, self._stall is not None
        figures = live_figures(self._progress, learner, self._rate.per_s) if learner is not None and has_begun else None
        self._update_program_file(lambda: self._program_file.update(self._who, figures))

    def _update_program_file(self, write: Callable[[], None]) -> None:
        """Writes ``program.json``; a failure is reported and counted, and the run goes on."""
        try:
            write()
        except OSError as error:
            self._progress.add_fault("program.json failed")
            self._say(f"program.json could not be written: {error.strerror}; the last one stays")

    def _show(self) -> None:
        learner = self._learner_report
        left_s = self._progress.time_left_s(self._left_s(), self._config.run.train_steps, learner)
        self._display.show(table_rows(self._progress, learner, self._rate.per_s, left_s))

    def _left_s(self) -> float | None:
        minutes = self._config.run.minutes
        return None if minutes is None else max(0.0, minutes * 60 - (self._progress.this_wall_s - self._start_wall_s))

    def _finished(self) -> bool:
        steps = self._config.run.train_steps
        return self._left_s() == 0.0 or (steps is not None and self._progress.train_steps >= steps)
