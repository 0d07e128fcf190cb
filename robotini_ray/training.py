"""One invocation of ``train``: starts the program, watches over it, and ends it in order."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import ray
from ray.exceptions import RayActorError, RayTaskError

from robotini_ray.car.connection import reachable
from robotini_ray.config import Config
from robotini_ray.embedded import EmbeddedSimulator
from robotini_ray.errors import RobotiniError
from robotini_ray.limit import lap_limit_s
from robotini_ray.parts import WORKER_ENVIRONMENT, PartHandle
from robotini_ray.program import ProgramBuilder, Site
from robotini_ray.progress import Progress, StepRate
from robotini_ray.references import ReferenceLaps
from robotini_ray.reports import Evaluation, LearnerReport
from robotini_ray.run_directory import RunDirectory
from robotini_ray.terminal import Display, table_rows
from robotini_ray.track import load_track

T = TypeVar("T")

POLL_S = 0.5
SUMMARY_INTERVAL_S = 5.0
CALL_TIMEOUT_S = 30.0
START_TIMEOUT_S = 120.0
CHECKPOINT_TIMEOUT_S = 60.0
END_TIMEOUT_S = 11.0
"""For all that is done before the processes are ended; Ray itself then needs up to three seconds more."""

LOOP_END_TIMEOUT_S = 3.0
EVALUATION_MARGIN_S = 15.0
ROLES = ("collect", "evaluate")
CORES_FOR_DASHBOARD = 4
"""The dashboard takes over a gigabyte and ten seconds of start-up: on by itself where there is room."""


class TrainingError(RobotiniError):
    """A part of the program failed; the message is one line for a person."""


class StopSignal:
    """Remembers Ctrl-C and SIGTERM; whoever waits looks here."""

    def __init__(self) -> None:
        self.number = 0

    def install(self) -> None:
        """Takes both signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number

    def __bool__(self) -> bool:
        return self.number != 0


class Stopped(Exception):
    """A stop signal came while the program was starting."""


def train(config: Config, run: RunDirectory, address: str, display: Display) -> int:
    """Trains until the time or the steps of the config are used up, or a signal ends it.

    Args:
        config: of the run.
        run: its directory, opened.
        address: ``local`` or the address of a Ray cluster.
        display: for the person watching.

    Returns:
        The exit code: 0, or 128 + the signal's number.

    Raises:
        TrainingError: a part failed.
    """
    stop = StopSignal()
    stop.install()
    training = Training(config, run, display, stop)
    try:
        training.start(address)
        training.watch()
        training.judge()
    except Stopped:
        pass
    finally:
        training.end()
    return 128 + stop.number if stop else 0


class Training:
    """The life of one invocation, as ``train`` runs it: ``start``, ``watch``, ``end``."""

    def __init__(self, config: Config, run: RunDirectory, display: Display, stop: StopSignal) -> None:
        self._config = config
        self._run = run
        self._display = display
        self._stop = stop
        self._builder = ProgramBuilder(config, run.path)
        self._limit_s = lap_limit_s(load_track(config.simulator.track))
        saved = run.progress()
        self._progress = Progress(**saved) if saved is not None else Progress()
        self._cleanups: list[Callable[[], Any]] = []
        self._loops: dict[Any, PartHandle] = {}
        self._collectors: list[PartHandle] = []
        self._started = False
        self._next_checkpoint_at = time.monotonic() + config.learner.checkpoint_interval_s
        self._next_summary_at = 0.0
        self._rate = StepRate()

    def start(self, address: str) -> None:
        """Starts every part and waits until each is ready, saying what is waited for."""
        external = self._external_site()
        self._display.say("starting Redis, the embedded simulators and Ray" if external is None else "starting Redis and Ray")
        redis = self._start(self._builder.redis, lambda server: server.stop)
        simulators = [] if external else [self._simulator(role) for role in ROLES]
        self._start_ray(address)
        self._replay = self._builder.replay()
        self._display.say("starting the replay server")
        replay_address = self._wait(self._replay, "address")
        self._learner = self._builder.learner(replay_address)
        embedded = [Site(simulator.address, simulator.lockstep) for simulator in simulators]
        collect, evaluate = (external, external) if external else embedded
        self._collectors = self._builder.collectors(collect, replay_address, redis.url)
        self._evaluator = self._builder.evaluator(evaluate, redis.url)
        self._display.say(f"starting {len(self._collectors)} collectors, the evaluator and the learner")
        for part in (*self._collectors, self._evaluator):
            self._start_loop(part)
        self._display.say("the cars are driving; waiting for the learner to build its graph")
        self._start_loop(self._learner)
        self._wait(self._learner, "add_receivers", [*self._collectors, self._evaluator])
        self._started = True
        self._display.say(f"training; logs, checkpoints and policies are in {self._run.path}")

    def watch(self) -> None:
        """Follows the program until it should end."""
        while not self._stop and not self._finished():
            began = time.monotonic()
            self._check_loops()
            learner = self._collect_reports()
            self._show(learner)
            now = time.monotonic()
            if now >= self._next_summary_at:
                self._next_summary_at = now + SUMMARY_INTERVAL_S
                self._record(learner)
            if now >= self._next_checkpoint_at:
                self._next_checkpoint_at = now + self._config.learner.checkpoint_interval_s
                self._checkpoint(CHECKPOINT_TIMEOUT_S)
            time.sleep(max(0.0, POLL_S - (time.monotonic() - began)))

    def judge(self) -> None:
        """Stops training and waits until the evaluator has judged the last weights, so that they are kept as a policy."""
        self._stop_loops([*self._collectors, self._learner])
        if not self._progress.train_steps:
            self._display.say("there was not enough replay for a single train step: train on with the same command")
            return
        self._display.say("training is over; evaluating the last weights")
        self._evaluator.tell("hurry")
        deadline = time.monotonic() + self._config.evaluation.max_seconds + EVALUATION_MARGIN_S
        while not self._stop and time.monotonic() < deadline:
            self._check_loops()
            self._collect_reports()
            if (self._progress.last_evaluation or {}).get("train_step") == self._progress.train_steps:
                return
            time.sleep(POLL_S)

    def end(self) -> None:
        """Stops the cars, writes the last checkpoint and the summary, and ends every process."""
        try:
            if self._started:
                self._end_in_order()
        finally:
            for cleanup in reversed(self._cleanups):
                cleanup()
        self._run.write_summary(self._progress.summary(self._limit_s))

    def _end_in_order(self) -> None:
        """Cars first, then the learner, then the checkpoint that equals where both have stopped."""
        deadline = time.monotonic() + END_TIMEOUT_S
        self._display.say("ending: stopping the cars, writing a checkpoint")
        self._stop_loops([*self._collectors, self._evaluator])
        self._stop_loops([self._learner])
        try:
            self._record(self._collect_reports())
            self._checkpoint(max(1.0, deadline - time.monotonic()))
        except (RayActorError, RayTaskError, TimeoutError) as error:
            self._display.say(f"no last checkpoint, an earlier one stays: {_cause(error)}")
        for part in (*self._collectors, self._evaluator, self._learner, self._replay):
            part.kill()

    def _stop_loops(self, parts: list[PartHandle]) -> None:
        """Tells parts to end their loops, waits until they have, and watches over those loops no longer."""
        for part in parts:
            part.tell("stop")
        loops = [loop for loop, part in self._loops.items() if part in parts]
        ray.wait(loops, num_returns=len(loops), timeout=LOOP_END_TIMEOUT_S)
        for loop in loops:
            del self._loops[loop]

    def _start_ray(self, address: str) -> None:
        """Joins the Ray cluster, or starts one on this machine."""
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
        if context.dashboard_url:
            self._display.say(f"Ray dashboard: http://{context.dashboard_url}")

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

    def _start_loop(self, part: PartHandle) -> None:
        self._wait(part, "report")
        self._loops[part.start_loop()] = part

    def _start(self, make: Callable[[], T], cleanup: Callable[[T], Callable[[], Any]]) -> T:
        made = make()
        self._cleanups.append(cleanup(made))
        self._check_stopped()
        return made

    def _wait(self, part: PartHandle, method: str, *arguments: Any) -> Any:
        """The result of a part's method, once it has started."""
        reference = part.tell(method, *arguments)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ray.wait([reference], timeout=0.2)[0]:
            self._check_stopped()
            if time.monotonic() > deadline:
                raise TrainingError(f"{part.name} has not started in {START_TIMEOUT_S:g} s; see {self._run.path}/logs")
        try:
            return ray.get(reference)
        except (RayActorError, RayTaskError) as error:
            raise TrainingError(f"{part.name} did not start: {_cause(error)}") from error

    def _check_stopped(self) -> None:
        if self._stop:
            raise Stopped

    def _check_loops(self) -> None:
        """Fails when a part's loop has ended by itself."""
        done, _ = ray.wait(list(self._loops), timeout=0)
        for loop in done:
            part = self._loops.pop(loop)
            try:
                ray.get(loop)
            except (RayActorError, RayTaskError) as error:
                raise TrainingError(f"{part.name} failed: {_cause(error)}") from error
            raise TrainingError(f"{part.name} has ended by itself")

    def _collect_reports(self) -> LearnerReport:
        references = [part.tell("report") for part in (*self._collectors, self._evaluator, self._learner)]
        *collections, evaluations, learner = ray.get(references, timeout=CALL_TIMEOUT_S)
        progress = self._progress
        progress.add_learner(learner)
        progress.add_collections(collections)
        for evaluation in evaluations:
            progress.add_evaluation(evaluation, self._limit_s)
            self._run.add_evaluation(progress.evaluation_record(evaluation))
            self._announce(evaluation)
        self._rate.update(progress.env_steps)
        return learner

    def _announce(self, evaluation: Evaluation) -> None:
        references = {f"reference_{name}": lap_s for name, lap_s in ReferenceLaps.of(self._limit_s)._asdict().items()}
        self._learner_record("evaluation", {**evaluation.scalars(), **references})
        result = evaluation.result
        lap = "no lap" if result.median_lap_s is None else f"median lap {result.median_lap_s:.2f} s"
        average = "-" if result.average_return is None else f"{result.average_return:.1f}"
        self._display.say(
            f"evaluation at step {evaluation.version:,}: {result.clean_laps} clean of {len(result.laps)} laps, {lap}, "
            f"{result.crashes} crashes, return {average}{', the best so far' if evaluation.best else ''}"
        )

    def _record(self, learner: LearnerReport) -> None:
        progress = self._progress
        self._learner_record("collection", {**progress.collection_scalars(), "env_steps_per_s": self._rate.per_s})
        training = {
            "train_steps_per_s": learner.train_steps_per_s,
            "replay_items": learner.replay.items,
            "replay_ratio": learner.replay.ratio,
            "waiting_share": learner.waiting_share,
        }
        self._learner_record("training", training)
        self._run.write_summary(progress.summary(self._limit_s))

    def _learner_record(self, section: str, scalars: dict[str, float]) -> None:
        self._learner.tell("record", section, scalars)

    def _checkpoint(self, timeout_s: float) -> None:
        self._learner.ask("checkpoint", self._progress.to_json(), timeout_s=timeout_s)

    def _show(self, learner: LearnerReport) -> None:
        waiting = ""
        if learner.replay.items < learner.replay.min_items:
            waiting = f"the first {learner.replay.min_items:,} replay items (have {learner.replay.items:,})"
        elif not self._progress.evaluations:
            waiting = "the first evaluation"
        self._display.show(table_rows(self._progress, learner, self._rate.per_s, self._left_s()), waiting)

    def _left_s(self) -> float | None:
        minutes = self._config.run.minutes
        return None if minutes is None else max(0.0, minutes * 60 - self._progress.this_wall_s)

    def _finished(self) -> bool:
        steps = self._config.run.train_steps
        return self._left_s() == 0.0 or (steps is not None and self._progress.train_steps >= steps)


def _cause(error: Exception) -> str:
    """The last line of an error, which names the thing; Ray puts the remote traceback in front of it."""
    return str(error).strip().splitlines()[-1]
