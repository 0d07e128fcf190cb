"""One invocation of ``train``: starts the program, watches over it, and ends it in order."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from robotini_ray.car.connection import reachable
from robotini_ray.checkpoint_keeper import CheckpointKeeper
from robotini_ray.config import Config
from robotini_ray.embedded import EmbeddedSimulator
from robotini_ray.limit import lap_limit_s
from robotini_ray.pages import Pages
from robotini_ray.parts import WORKER_ENVIRONMENT, PartHandle
from robotini_ray.processes import identify
from robotini_ray.program import ProgramBuilder, Site
from robotini_ray.program_file import PartState, ProgramFile, live_figures
from robotini_ray.progress import Progress, StepRate
from robotini_ray.references import ReferenceLaps
from robotini_ray.reports import CollectorReport, Evaluation, LearnerReport
from robotini_ray.run_directory import RunDirectory
from robotini_ray.side_processes import SideProcesses
from robotini_ray.stall import StallWatch
from robotini_ray.stop_signal import Stopped, StopSignal
from robotini_ray.supervision import PartSpec, State, Supervisor, last_line
from robotini_ray.terminal import Display, table_rows
from robotini_ray.track import load_track

T = TypeVar("T")

POLL_S = 0.5
START_POLL_S = 0.1
SUMMARY_INTERVAL_S = 5.0
END_TIMEOUT_S = 11.0
"""For all that is done before the processes are ended; Ray itself then needs up to three seconds more."""

LOOP_END_TIMEOUT_S = 3.0
LAST_REPORTS_TIMEOUT_S = 2.0
EVALUATION_MARGIN_S = 15.0
ROLES = ("collect", "evaluate")
REPLAY, LEARNER, EVALUATOR = "replay", "learner", "evaluator"
CORES_FOR_DASHBOARD = 4
"""The dashboard takes over a gigabyte and ten seconds of start-up: on by itself where there is room."""


def train(config: Config, run: RunDirectory, address: str, display: Display, monitor_port: int | None) -> int:
    """Trains until the time or the steps of the config are used up, or a signal ends it.

    Args:
        config: of the run.
        run: its directory, opened.
        address: ``local`` or the address of a Ray cluster.
        display: for the person watching.
        monitor_port: where the monitor listens; None for no monitor.

    Returns:
        The exit code: 0, or 128 + the signal's number.

    Raises:
        PartFailed: a part does not start, or fails again and again.
    """
    stop = StopSignal()
    stop.install()
    training = Training(config, run, display, stop, Pages(run.path, monitor_port, display.say))
    try:
        training.start(address)
        training.watch()
        if not stop:
            training.judge()
    except Stopped:
        pass
    finally:
        training.end()
    return 128 + stop.number if stop else 0


class Training:
    """The life of one invocation, as ``train`` runs it: ``start``, ``watch``, ``judge``, ``end``."""

    def __init__(self, config: Config, run: RunDirectory, display: Display, stop: StopSignal, pages: Pages) -> None:
        self._pages = pages
        self._config = config
        self._run = run
        self._say = display.say
        self._display = display
        self._stop = stop
        self._builder = ProgramBuilder(config, run.path)
        self._limit_s = lap_limit_s(load_track(config.simulator.track))
        saved = run.progress()
        self._is_new = saved is None
        self._progress = Progress(**saved) if saved is not None else Progress()
        self._cleanups: list[Callable[[], Any]] = []
        self._side = SideProcesses(self._say, self._progress.add_restart)
        self._checkpoints = CheckpointKeeper(config.learner.checkpoint_interval_s, self._say, self._progress.add_fault)
        self._stall: StallWatch | None = None
        self._supervisor: Supervisor | None = None
        self._replay_address = ""
        self._learner_report: LearnerReport | None = None
        self._next_summary_at = 0.0
        self._rate = StepRate()
        self._program_file = ProgramFile(run.path)
        self._simulators: dict[str, EmbeddedSimulator] = {}
        self._who: dict[str, PartState] = {}

    def start(self, address: str) -> None:
        """Starts every part and waits until all run, saying what is waited for."""
        external = self._external_site()
        self._say("starting Redis, the embedded simulators and Ray" if external is None else "starting Redis and Ray")
        redis = self._start(self._builder.redis, lambda server: server.stop)
        self._side.add("redis", redis, "training goes on without the cars' live state")
        self._start(lambda: self._pages.start(redis.url), lambda _: self._pages.close)
        simulators = [] if external else [self._simulator(role) for role in ROLES]
        self._simulators = dict(zip(ROLES, simulators, strict=False))
        self._program_file.begin(redis.url)
        dashboard_url = self._start_ray(address)
        embedded = [Site(simulator.address, simulator.lockstep) for simulator in simulators]
        collect, evaluate = (external, external) if external else embedded
        self._cars = [*self._builder.collector_names, EVALUATOR]
        specs = self._specs(collect, evaluate, redis.url)
        self._say(f"starting the replay server, {len(self._cars) - 1} collectors, the evaluator and the learner")
        self._supervisor = Supervisor(specs, self._say, self._progress.add_restart, self._on_running)
        self._wait_until_all_run(self._supervisor)
        self._stall = StallWatch()  # until now cars and learner had reason to wait
        self._pages.announce(dashboard_url)
        self._say(f"training; logs, checkpoints and policies are in {self._run.path}")

    def watch(self) -> None:
        """Follows the program until it should end."""
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
        """Stops training and waits until the evaluator has judged the last weights, so that they are kept as a policy."""
        assert self._supervisor is not None
        self._supervisor.stop_loops([*self._builder.collector_names, LEARNER], LOOP_END_TIMEOUT_S)
        self._take_last_reports()
        if not self._progress.train_steps:
            self._say("there was not enough replay for a single train step: train on with the same command")
            return
        self._say("training is over; evaluating the last weights")
        hurried: PartHandle | None = None
        deadline = time.monotonic() + self._config.evaluation.max_seconds + EVALUATION_MARGIN_S
        while not self._stop and time.monotonic() < deadline:
            evaluator = self._part(EVALUATOR)
            if evaluator is not None and evaluator is not hurried:
                evaluator.tell("hurry")
                hurried = evaluator
            self._look_after()
            if (self._progress.last_evaluation or {}).get("train_step") == self._progress.train_steps:
                return
            time.sleep(POLL_S)

    def end(self) -> None:
        """Stops the cars, writes the last checkpoint and the summary, and ends every process."""
        try:
            if self._supervisor is not None:
                self._end_in_order(self._supervisor)
        finally:
            for cleanup in reversed(self._cleanups):
                cleanup()
        self._write_summary()
        self._program_file.end()

    def _end_in_order(self, supervisor: Supervisor) -> None:
        """Cars first, then the learner, then the checkpoint that equals where both have stopped."""
        deadline = time.monotonic() + END_TIMEOUT_S
        self._say("ending: stopping the cars, writing a checkpoint")
        supervisor.stop_loops(self._cars, LOOP_END_TIMEOUT_S)
        supervisor.stop_loops([LEARNER], LOOP_END_TIMEOUT_S)
        self._take_last_reports()
        self._record()
        learner = self._part(LEARNER)
        try:
            if learner is None:
                self._say("no last checkpoint, an earlier one stays: the learner does not run")
            else:
                self._checkpoints.last(learner, self._progress.to_json(), max(1.0, deadline - time.monotonic()))
        except RayError as error:
            self._say(f"no last checkpoint, an earlier one stays: {last_line(error)}")
        supervisor.kill_all()

    def _specs(self, collect: Site, evaluate: Site, redis_url: str) -> list[PartSpec]:
        """How each part is started, now and whenever it is gone."""
        builder = self._builder

        def replay() -> PartHandle:
            return builder.replay(int(self._replay_address.rpartition(":")[2]) if self._replay_address else None)

        def learner() -> PartHandle:
            assert self._supervisor is not None
            return builder.learner(self._replay_address, self._supervisor.starts(LEARNER))

        def collector(name: str) -> PartSpec:
            return PartSpec(
                name,
                lambda: builder.collector(name, collect, self._replay_address, redis_url),
                needs=(REPLAY,),
                introduce=self._introduce,
                has_worked=lambda report: report.env_steps > 0,
            )

        return [
            PartSpec(REPLAY, replay, has_loop=False),
            *(collector(name) for name in builder.collector_names),
            PartSpec(EVALUATOR, lambda: builder.evaluator(evaluate, redis_url), introduce=self._introduce, has_worked=bool),
            PartSpec(LEARNER, learner, needs=(REPLAY,), has_worked=lambda report: report.train_steps_per_s > 0),
        ]

    def _introduce(self, car: PartHandle) -> Any | None:
        """Has the learner give a car its weights before it drives; the first cars of a new run need not wait for any."""
        learner = self._part(LEARNER)
        if learner is not None:
            return learner.tell("add_receivers", [car])
        assert self._supervisor is not None
        return ray.put(None) if self._is_new and self._supervisor.starts(LEARNER) <= 1 else None

    def _on_running(self, name: str) -> None:
        """What a part that has been started has to be told, or tells."""
        assert self._supervisor is not None
        part = self._part(name)
        if name == LEARNER and part is not None:
            part.tell("add_receivers", [car for at in self._cars if (car := self._part(at)) is not None])
        if name == REPLAY:
            report = self._supervisor.first_report(REPLAY)
            for warning in report.warnings:
                self._say(f"warning: {warning}")
                self._progress.add_fault("replay checkpoint unusable")
            if self._replay_address not in ("", report.address):
                for user in (*self._builder.collector_names, LEARNER):
                    self._supervisor.restart(user, "replay has moved")
            self._replay_address = report.address

    def _wait_until_all_run(self, supervisor: Supervisor) -> None:
        said = False
        while missing := supervisor.missing():
            self._check_stopped()
            if missing == [LEARNER] and not said:
                said = True
                self._say("the cars are driving; waiting for the learner to build its graph")
            self._look_after()
            time.sleep(START_POLL_S)

    def _start_ray(self, address: str) -> str:
        """Joins the Ray cluster, or starts one on this machine; returns its dashboard's address, empty for none."""
        dashboard = (os.cpu_count() or 1) >= CORES_FOR_DASHBOARD
        os.environ.update(WORKER_ENVIRONMENT)
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 would let simulators starve learner and collectors
        # Ray's news of its next versions: of pydantic (which tf-agents' pins keep old) and of hiding GPUs
        warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
        context = ray.init(
            address=address,
            include_dashboard=dashboard if address == "local" else None,
            log_to_driver=False,
            logging_level="warning",
        )
        self._cleanups.append(ray.shutdown)
        self._stop.install()  # ray.init has put its own handlers there
        self._check_stopped()
        return context.dashboard_url or ""

    def _external_site(self) -> Site | None:
        """The simulator that the config names, if it does.

        Raises:
            SimulatorUnreachable: it is not there.
        """
        if self._config.simulator.address is None:
            return None
        return Site(reachable(self._config.simulator.address), lockstep=False)

    def _simulator(self, role: str) -> EmbeddedSimulator:
        return self._start(lambda: self._builder.simulator(role), lambda simulator: simulator.close)

    def _start(self, make: Callable[[], T], cleanup: Callable[[T], Callable[[], Any]]) -> T:
        made = make()
        self._cleanups.append(cleanup(made))
        self._check_stopped()
        return made

    def _check_stopped(self) -> None:
        if self._stop:
            raise Stopped

    def _part(self, name: str) -> PartHandle | None:
        """A part that runs, else None."""
        return None if self._supervisor is None else self._supervisor.running(name)

    def _look_after(self) -> None:
        """One look at all parts and processes."""
        assert self._supervisor is not None
        self._side.tick()
        self._take(list(self._supervisor.tick().items()))
        if (who := self._processes()) != self._who:
            self._who = who
            self._write_program()
        if self._part(LEARNER) is None:
            self._learner_report = None

    def _take(self, reports: list[tuple[str, Any]]) -> None:
        """Takes over what parts have reported."""
        progress = self._progress
        collections: list[CollectorReport] = []
        for name, report in reports:
            if name == LEARNER:
                self._learner_report = report
                progress.add_learner(report)
            elif name == EVALUATOR:
                for evaluation in report:
                    progress.add_evaluation(evaluation, self._limit_s)
                    self._run.add_evaluation(progress.evaluation_record(evaluation))
                    self._announce(evaluation)
            elif name != REPLAY:
                collections.append(report)
        progress.add_collections(collections)
        self._rate.update(progress.env_steps)
        for line in self._stall.look(self._learner_report, collections) if self._stall is not None else []:
            self._say(line)
            progress.add_fault("stall")

    def _take_last_reports(self) -> None:
        assert self._supervisor is not None
        self._take(self._supervisor.last_reports([*self._cars, LEARNER], LAST_REPORTS_TIMEOUT_S))

    def _announce(self, evaluation: Evaluation) -> None:
        references = {f"reference_{name}": lap_s for name, lap_s in ReferenceLaps.of(self._limit_s)._asdict().items()}
        self._record_scalars("evaluation", {**evaluation.scalars(), **references})
        result = evaluation.result
        lap = "no lap" if result.median_lap_s is None else f"median lap {result.median_lap_s:.2f} s"
        average = "-" if result.average_return is None else f"{result.average_return:.1f}"
        self._say(
            f"evaluation at step {evaluation.version:,}: {result.clean_laps} clean of {len(result.laps)} laps, {lap}, "
            f"{result.crashes} crashes, return {average}{', the best so far' if evaluation.best else ''}"
        )

    def _record(self) -> None:
        """Writes down where the run is, for TensorBoard and into summary.json."""
        learner = self._learner_report
        self._record_scalars("collection", {**self._progress.collection_scalars(), "env_steps_per_s": self._rate.per_s})
        if learner is not None:
            training = {
                "train_steps_per_s": learner.train_steps_per_s,
                "replay_items": learner.replay.items,
                "replay_ratio": learner.replay.ratio,
                "waiting_share": learner.waiting_share,
            }
            self._record_scalars("training", training)
        self._write_summary()
        self._write_program()

    def _record_scalars(self, section: str, scalars: dict[str, float]) -> None:
        learner = self._part(LEARNER)
        if learner is not None:
            learner.tell("record", section, scalars)

    def _processes(self) -> dict[str, PartState]:
        """Who runs, as which process."""
        assert self._supervisor is not None
        children = {**self._side.pids(), **{f"simulator-{role}": at.process_id for role, at in self._simulators.items()}}
        running = State.RUNNING.value
        return {
            **{name: PartState(None if pid is None else identify(pid), running) for name, pid in children.items()},
            **{name: PartState(process, state.value) for name, (process, state) in self._supervisor.processes().items()},
        }

    def _write_program(self) -> None:
        learner, has_begun = self._learner_report, self._stall is not None
        figures = live_figures(self._progress, learner, self._rate.per_s) if learner is not None and has_begun else None
        try:
            self._program_file.update(self._who, figures)
        except OSError as error:
            self._progress.add_fault("program.json failed")
            self._say(f"program.json could not be written: {error.strerror}; the last one stays")

    def _write_summary(self) -> None:
        try:
            self._run.write_summary(self._progress.summary(self._limit_s))
        except OSError as error:
            self._progress.add_fault("summary failed")
            self._say(f"summary.json could not be written: {error.strerror}; the last one stays")

    def _show(self) -> None:
        learner = self._learner_report
        waiting = "the learner" if learner is None else learner.waiting_for
        if not waiting and not self._progress.evaluations:
            waiting = "the first evaluation"
        self._display.show(table_rows(self._progress, learner, self._rate.per_s, self._left_s()), waiting)

    def _left_s(self) -> float | None:
        minutes = self._config.run.minutes
        return None if minutes is None else max(0.0, minutes * 60 - self._progress.this_wall_s)

    def _finished(self) -> bool:
        steps = self._config.run.train_steps
        return self._left_s() == 0.0 or (steps is not None and self._progress.train_steps >= steps)
