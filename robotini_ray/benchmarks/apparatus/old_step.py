"""Rebuilds the step of the trainer that this program replaces (robotini-ddpg), for comparison.

Every frame of every car is processed on its own:

- TensorFlow unpacks the picture.
- NumPy scales the features column by column and row by row, as scikit-learn's ``minmax_scale`` does. The latter is slower
  and no dependency of this project; the comparison thus flatters the old path a little.
- A snapshot of the car is packed as JPEG and JSON but not sent, which flatters the old path too.
- The policy is TF-Agents', called through a ``tf.function`` for one car at a time.
- The six columns of a TF-Agents trajectory go to Reverb in chunks of one.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import cv2
import numpy as np
import reverb
import tensorflow as tf
from numpy.typing import NDArray
from tf_agents.policies import py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

from robotini_ray.benchmarks.apparatus.figure import MeasurementError
from robotini_ray.car.connection import CarConnection, Login
from robotini_ray.car.spectator import Spectator
from robotini_ray.config import ACTION_SIZE, FEATURES_PER_FRAME, Config
from robotini_ray.environment.observation import HistoryStack
from robotini_ray.simulator_address import SimulatorAddress

TABLE = "steps"
CAPACITY = 100_000
ITEM_STEPS = 2
QUARTERS = 4
DARKEST_COLOR = 101
TIMEOUT_S = 120.0


def make_old_server(port: int) -> reverb.Server:
    """Starts a Reverb server with a table of pairs of steps."""
    limiter = reverb.rate_limiters.MinSize(1)
    table = reverb.Table(TABLE, reverb.selectors.Uniform(), reverb.selectors.Fifo(), CAPACITY, limiter)
    return reverb.Server([table], port=port)


def old_features(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Computes the features step by step on whole arrays.

    The result equals that of ``environment.observation.features`` if 4 divides the width and the height of the road part.

    Args:
        frame: ``<uint8>[height, width, 3]`` in the channel order red, green, blue.
    """
    road = frame[frame.shape[0] // 4 :]
    brightest = np.maximum(road.max(axis=2, keepdims=True), DARKEST_COLOR)
    colors = np.where(road == brightest, np.float32(1.0), np.float32(0.0))
    groups = []
    for axis in (0, 1):
        profile = _minmax_scale(colors.mean(axis=axis))
        groups += [group.mean(axis=0) for group in np.array_split(profile, QUARTERS)]
    return np.asarray(groups, np.float32)


def _minmax_scale(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales each row to [0, 1]; a row of equal numbers becomes 0."""
    low, high = shares.min(axis=1, keepdims=True), shares.max(axis=1, keepdims=True)
    spread = np.where(high > low, high - low, 1.0)
    scaled: NDArray[np.float32] = (shares - low) / spread
    return scaled


class OldCar:
    """A car of the old path: its connection, its recurrent state and its Reverb writer.

    Args:
        config: Config of the environment.
        address: A simulator in lock-step.
        name: The car's name, also used as its team id.
        spectator: The spectator stream, shared by all cars of the process.
        replay: A client of the server of ``make_old_server``.
        policy: A policy for a batch of one car; several cars may share it.
    """

    def __init__(
        self,
        config: Config,
        address: SimulatorAddress,
        name: str,
        spectator: Spectator,
        replay: reverb.Client,
        policy: py_tf_eager_policy.PyTFEagerPolicy,
    ) -> None:
        environment = config.environment
        self._environment, self._spectator, self._policy = environment, spectator, policy
        self._name = name
        self._history = HistoryStack(
            FEATURES_PER_FRAME, ACTION_SIZE, environment.observation_history, environment.action_history
        )
        self._writer = replay.trajectory_writer(num_keep_alive_refs=ITEM_STEPS)
        self._policy_state: Any = policy.get_initial_state(1)
        self._action: NDArray[np.float32] | None = None
        self._observation = np.zeros(environment.observation_size, np.float32)
        self._steps = 0
        self.last_png = b""
        spectator.follow(name)
        login = Login(name, name, image_width=environment.image_width, lockstep=True)
        self._connection = CarConnection.connect(address.host, address.car_port, login)

    def fileno(self) -> int:
        """Returns the file descriptor of the connection; it is readable when ``step`` need not wait for a frame."""
        return self._connection.fileno()

    def step(self) -> None:
        """Receives a frame, writes it to Reverb and answers it.

        Raises:
            MeasurementError: The simulator sent no frame for ``TIMEOUT_S``.
        """
        frames = self._connection.receive(TIMEOUT_S)
        if not frames:
            raise MeasurementError(f"the simulator sent no frame for {TIMEOUT_S:g} s")
        self.last_png = frames[-1]
        state = self._spectator.wait_for(self._name, self._connection.frames_received, TIMEOUT_S)
        self._spectator.take_states(self._name)
        frame = tf.io.decode_png(self.last_png, channels=3).numpy()
        features = old_features(frame)
        cv2.imencode(".jpg", frame)
        json.dumps(dataclasses.asdict(state))
        if self._action is None:
            self._observation, step_type = self._history.reset(features), ts.StepType.FIRST
        else:
            self._observation, step_type = self._history.push(features, self._action), ts.StepType.MID
        self._insert(step_type, state.speed_m_s)
        self._act()

    def flush(self) -> None:
        """Blocks until Reverb has acknowledged all steps."""
        self._writer.flush(timeout_ms=int(1000 * TIMEOUT_S))

    def close(self) -> None:
        """Closes the connection, so that the car leaves the track, and the writer."""
        self._connection.close()
        self._writer.close()

    def _act(self) -> None:
        first = self._action is None
        rows = self._observation[None]
        made = ts.restart(rows, 1) if first else ts.transition(rows, np.zeros(1, np.float32), np.ones(1, np.float32))
        decided = self._policy.action(made, self._policy_state)
        self._policy_state = decided.state
        action = self._action = np.asarray(decided.action, np.float32)[0]
        environment = self._environment
        share = 0.5 * (float(action[0]) + 1.0)
        throttle = environment.throttle_low + share * (environment.throttle_high - environment.throttle_low)
        self._connection.send(throttle, float(action[1]) * environment.turn_limit)

    def _insert(self, step_type: Any, reward: float) -> None:
        self._writer.append(
            {
                "step_type": np.int32(step_type),
                "observation": self._observation,
                "action": np.zeros(ACTION_SIZE, np.float32) if self._action is None else self._action,
                "next_step_type": np.int32(ts.StepType.MID),
                "reward": np.float32(reward),
                "discount": np.float32(1.0),
            }
        )
        self._steps += 1
        if self._steps >= ITEM_STEPS:
            item = {name: column[-ITEM_STEPS:] for name, column in self._writer.history.items()}
            self._writer.create_item(TABLE, priority=1.0, trajectory=item)
