"""Defines the learner, which trains the agent on replay, broadcasts its weights and writes checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import reverb
import tensorflow as tf
from tf_agents.train import learner as tf_agents_learner

from robotini_ray.agents.factory import experience_dataset, flat_actor_weights, make_agent
from robotini_ray.agents.finite import is_numerics_error, not_finite
from robotini_ray.config import Config
from robotini_ray.errors import RobotiniError
from robotini_ray.parts.interfaces import Handle, LearnerPart, RunCannotGoOn, WeightsReceiver
from robotini_ray.parts.learner_activity import LearnerActivity
from robotini_ray.parts.loop_requests import LoopRequests
from robotini_ray.parts.weight_histograms import weight_histograms
from robotini_ray.parts.weights_broadcast import WeightsBroadcast
from robotini_ray.replay.gauge import ASK_INTERVAL_S, ReplayGauge
from robotini_ray.replay.table import WindowLayout
from robotini_ray.run.checkpoints import Checkpoint, CheckpointStore
from robotini_ray.run.histogram import Histogram
from robotini_ray.run.reports import LearnerReport, weights_version
from robotini_ray.run.tensorboard_files import RunSummaries

SUMMARY_INTERVAL_S = 2.0
HISTOGRAM_INTERVAL_S = 30.0
DAMAGE_CODES = (tf.errors.DATA_LOSS, tf.errors.OUT_OF_RANGE, tf.errors.NOT_FOUND, tf.errors.UNKNOWN)
"""Codes of TensorFlow's errors about files that are missing, cut off or overwritten; ``UNKNOWN`` is a cut-off index.

Of a cut-off object graph TensorFlow makes an ``IndexError``.
"""


class CheckpointError(RobotiniError):
    """A checkpoint cannot be written, or belongs to another agent; the message is one line for a person."""


class CheckpointDamaged(CheckpointError):
    """Raised if TensorFlow's files of a checkpoint are damaged; the message is one line for a person."""


class TrainingDiverged(RunCannotGoOn):
    """A loss, a gradient or a weight is not finite; the message is one line for a person."""


class LearnerLeaves(RobotiniError):
    """The learner ends after SIGTERM, because its machine is needed for something else."""


class Learner(LearnerPart):
    """Trains the agent until ``stop``.

    ``run`` is the training loop and owns the agent. The other methods are called from another thread; those that need the
    agent queue a request, which the loop serves between two calls of TF-Agents' learner.

    Args:
        config: The config of the run.
        replay_address: ``HOST:PORT`` of the Reverb server.
        run_dir: The run directory; checkpoints and TensorBoard's files are written below it, and training continues from
            the newest checkpoint there.
        life: The number of earlier learners that this program has started.
        least_step: The train step of the newest checkpoint that the launcher sees.

    Raises:
        CheckpointError: The newest checkpoint belongs to another agent, has weights that are not finite, or is older than
            ``least_step``, which means that this node does not see the launcher's run directory.
        CheckpointDamaged: No checkpoint can be read, though there are some.
    """

    def __init__(self, config: Config, replay_address: str, run_dir: Path, life: int = 0, least_step: int = 0) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(config.learner.threads)
        tf.config.threading.set_inter_op_parallelism_threads(config.learner.threads)
        self._config = config
        self._life = life
        self._replay_address = replay_address
        self._replay = reverb.Client(replay_address)
        self._gauge = ReplayGauge(self._replay, config)  # created before the dataset begins to sample
        self._train_step = tf.Variable(0, dtype=tf.int64, name="train_step")
        self._agent = make_agent(config, self._train_step)
        self._learner = tf_agents_learner.Learner(
            str(run_dir / "logs" / "tf_agents"),
            self._train_step,
            self._agent,
            lambda: experience_dataset(replay_address, config),
            checkpoint_interval=-1,  # ``CheckpointStore`` writes them, with replay and counters
            summary_interval=0,
        )
        self._store = CheckpointStore(run_dir / "checkpoints")
        self._saved = tf.train.Checkpoint(agent=self._agent, train_step=self._train_step)
        self._warnings = restore_newest(self._saved, self._store)
        if (name := not_finite(self._agent)) is not None:
            raise CheckpointError(
                f"{run_dir / 'checkpoints'} ends with numbers that are not finite in {name}: its training had diverged; remove "
                "the newest directory there to go on from the one before it, or begin anew with --fresh"
            )
        if self._step() < least_step and not self._warnings:
            raise CheckpointError(
                f"{run_dir / 'checkpoints'} on the learner's node ends at train step {self._step():,}, but on the launcher's "
                f"node at {least_step:,}: give a --run-dir on a file system that both nodes share"
            )
        self._batches: Iterator[Any] | None = None  # None: those of TF-Agents' learner, until its dataset has ended
        self._summaries = RunSummaries(run_dir / "tensorboard", self._step())
        self._broadcast = WeightsBroadcast()
        self._requests = LoopRequests()
        self._activity = LearnerActivity(self._gauge, self._step())
        self._stop = threading.Event()
        self._leaving = False
        self._may_leave = False
        self._next_publish_at = 0.0
        self._next_summary_at = self._next_histogram_at = 0.0
        self._losses: dict[str, float] = {}
        self._diverged: TrainingDiverged | None = None
        self._publish()

    def run(self) -> None:
        """Trains until ``stop``.

        Raises:
            LearnerLeaves: The process received SIGTERM, and a checkpoint has been written since.
            TrainingDiverged: A loss, a gradient or a weight is not finite. From then on no weights are broadcast and no
                checkpoint is written.
        """
        try:
            self._train_until_told()
        except TrainingDiverged as error:
            self._diverged = error
            raise
        finally:
            self._requests.end()

    def _train_until_told(self) -> None:
        calls = self._config.learner.steps_per_call
        while not self._stop.is_set():
            self._requests.serve()
            if self._may_leave:
                raise LearnerLeaves(f"it was sent SIGTERM and has written a checkpoint at train step {self._step():,}")
            self._publish_when_due()
            steps = calls if self._config.run.train_steps is None else self._steps_left(calls)
            if steps and self._gauge.allows(steps):
                self._train(steps)
            else:
                self._activity.wait(self._stop, ASK_INTERVAL_S)
        self._publish()

    def add_receivers(self, handles: Sequence[Handle[WeightsReceiver]]) -> None:
        """Sends the weights to these parts from now on; see ``WeightsBroadcast.add``."""
        self._broadcast.add(handles)
        self._next_publish_at = 0.0

    def report(self) -> LearnerReport:
        """Returns the progress of training; rates are those since the last call."""
        step = self._step()
        rate, waiting_share = self._activity.take_rates(step)
        waits_for = self._activity.waiting_for()
        return LearnerReport(
            step, rate, self._gauge.state, waiting_share, self._losses, waits_for, self._leaving, self._warnings
        )

    def on_sigterm(self) -> None:
        """Sets ``leaving`` in the next report; the launcher then requests the checkpoint after which ``run`` ends."""
        self._leaving = True

    def checkpoint(self, progress: dict[str, Any]) -> None:
        """Writes a checkpoint of replay, agent and the counters ``progress``; blocks until the loop has written it.

        Raises:
            CheckpointError: Replay does not answer.
            Exception: The checkpoint could not be written for another reason. Earlier checkpoints are always kept.
        """
        self._requests.ask(lambda: self._write_checkpoint(progress))

    def record(
        self,
        section: str,
        scalars: dict[str, float],
        histograms: dict[str, Histogram] | None = None,
        pngs: dict[str, bytes] | None = None,
    ) -> None:
        """Writes values for TensorBoard at the current train step, see ``RunSummaries.write``."""
        self._summaries.write(section, self._step(), scalars, histograms, pngs)

    def stop(self) -> None:
        """Ends ``run`` soon, after the present call of TF-Agents' learner; returns at once."""
        self._stop.set()

    def _train(self, steps: int) -> None:
        before = self._step()
        try:
            with self._activity.training():
                info = self._learner.run(iterations=steps, iterator=self._batches)
        except tf.errors.OutOfRangeError:  # the rate limiter has blocked longer than ``BATCH_TIMEOUT_MS``
            self._batches = iter(experience_dataset(self._replay_address, self._config))
            return
        except tf.errors.InvalidArgumentError as error:
            if not is_numerics_error(error):
                raise
            raise self._divergence("a loss or a gradient") from error
        finally:
            self._gauge.trained(self._step() - before)
        now = time.monotonic()
        if now >= self._next_summary_at:
            self._next_summary_at = now + SUMMARY_INTERVAL_S
            self._losses = {
                "losses/critic": float(info.extra.critic_loss),
                "losses/actor": float(info.extra.actor_loss),
            }
            self._summaries.write("training", self._step(), self._losses, self._histograms_when_due(now))

    def _histograms_when_due(self, now: float) -> dict[str, Histogram]:
        if now < self._next_histogram_at:
            return {}
        self._next_histogram_at = now + HISTOGRAM_INTERVAL_S
        return {f"weights/{name}": histogram for name, histogram in weight_histograms(self._agent).items()}

    def _steps_left(self, most: int) -> int:
        assert self._config.run.train_steps is not None
        return max(0, min(most, self._config.run.train_steps - self._step()))

    def _publish_when_due(self) -> None:
        now = time.monotonic()
        if now < self._next_publish_at:
            return
        self._next_publish_at = now + self._config.learner.publish_interval_s
        self._publish()

    def _divergence(self, what: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"training has diverged after train step {self._step():,}: {what} is not finite; the policies and the last "
            "checkpoint stay, the same command goes on from there; if it diverges again, begin anew with --fresh and lower "
            "learning rates"
        )

    def _publish(self) -> None:
        weights = flat_actor_weights(self._config, self._agent)
        if not np.isfinite(weights).all():
            raise self._divergence("a weight of the actor")
        version = weights_version(self._life, self._step())
        self._broadcast.send(version, weights, self._gauge.pauses(self._config.learner.steps_per_call))

    def _write_checkpoint(self, progress: dict[str, Any]) -> None:
        if self._diverged is not None:
            raise self._diverged
        if (name := not_finite(self._agent)) is not None:
            raise self._divergence(name)
        step = self._step()
        self._gauge.ask()
        if self._gauge.silent_since is not None:  # Reverb's checkpoint call would wait for ever
            raise CheckpointError("replay does not answer")
        # A lower bound: windows may be added during the checkpoint, but their number never falls.
        least_windows = self._gauge.state.items // WindowLayout.from_config(self._config).items
        try:
            self._store.write(
                step,
                Path(self._replay.checkpoint()),
                {**progress, "train_steps": step},
                self._saved.write,
                self._config.learner.checkpoints_to_keep,
                least_windows,
            )
        except Exception:
            self._store.remove_unfinished()  # frees the space on a full disk
            raise
        self._may_leave = self._leaving

    def _step(self) -> int:
        return int(self._train_step.numpy())


def restore_newest(saved: tf.train.Checkpoint, store: CheckpointStore) -> tuple[str, ...]:
    """Reads the newest checkpoint that is not damaged into everything of ``saved``; does nothing if there is none.

    Damaged ones that are newer are renamed, so that they are not tried again.

    Returns:
        A warning for each checkpoint that was renamed.

    Raises:
        CheckpointError: The checkpoint is of another agent.
        CheckpointDamaged: There are checkpoints, but all are damaged; none of them is renamed.
    """
    damaged: list[tuple[Checkpoint, CheckpointDamaged]] = []
    for checkpoint in store.newest_first():
        try:
            restore(saved, checkpoint)
        except CheckpointDamaged as error:
            damaged.append((checkpoint, error))
            continue
        goes_on = f"training goes on from {checkpoint.directory.name}"
        return tuple(f"{error}; it is now {torn.set_aside().name}, and {goes_on}" for torn, error in damaged)
    if damaged:
        raise CheckpointDamaged(f"{damaged[0][1]}; no earlier one is whole: --fresh moves that run aside") from damaged[0][1]
    return ()


def restore(saved: tf.train.Checkpoint, checkpoint: Checkpoint) -> None:
    """Reads a checkpoint into all objects of ``saved``.

    Raises:
        CheckpointError: A variable is missing in the checkpoint, superfluous or of another shape.
        CheckpointDamaged: The files are missing, cut off or overwritten.
    """
    try:
        saved.read(checkpoint.learner_prefix).assert_consumed()
    except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:
        text = " ".join(str(error).split())
        if isinstance(error, IndexError) or getattr(error, "error_code", None) in DAMAGE_CODES:
            raise CheckpointDamaged(f"the networks in {checkpoint.directory} are damaged ({text[:200]})") from error
        raise CheckpointError(
            f"{checkpoint.directory} does not fit this program's agent: {text[:300]}; --fresh moves that run aside"
        ) from error
