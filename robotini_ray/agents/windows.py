"""From replay windows to what the agents train on."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tf_agents.trajectories import policy_step, time_step, trajectory

from robotini_ray.config import ACTION_SIZE
from robotini_ray.replay import LAST, PAD, WindowLayout


class Windows(NamedTuple):
    """A batch of replay windows with their columns apart.

    Attributes:
        observation: ``<float32>[batch, rows, observation_size]``.
        action: ``<float32>[batch, rows, 2]``, zero where ``decided`` is.
        reward: ``<float32>[batch, rows]`` of the action of the row.
        discount: ``<float32>[batch, rows]``: 0 after a termination, else 1.
        step_type: ``<int32>[batch, rows]``, TF-Agents' step type; padding counts as MID.
        decided: ``<float32>[batch, rows]``: 1 where an action was taken, 0 at episode ends and in padding.
        state: ``<float32>[batch, state_size]``: the actor's recurrent state before the first row.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    step_type: tf.Tensor
    decided: tf.Tensor
    state: tf.Tensor

    def between(self, start: int, stop: int | None) -> Windows:
        """The rows from ``start`` up to ``stop``, as in a slice; ``state`` stays that before the first row of all."""
        columns = {name: column[:, start:stop] for name, column in self._asdict().items() if name != "state"}
        return self._replace(**columns)


def unpack(item: dict[str, tf.Tensor], layout: WindowLayout) -> Windows:
    """The columns of a batch of replay items (see ``robotini_ray.replay`` for the rows' layout)."""
    rows = tf.ensure_shape(item["rows"], (None, layout.rows, layout.row_size))
    size = layout.observation_size
    kind = rows[..., -1]
    padding = tf.equal(kind, PAD)
    state = tf.ensure_shape(item["state"], (None, 1, layout.state_size))[:, 0] if layout.state_size else ()
    return Windows(
        observation=rows[..., :size],
        action=rows[..., size : size + ACTION_SIZE],
        reward=rows[..., -3],
        discount=rows[..., -2],
        step_type=tf.where(padding, time_step.StepType.MID, tf.cast(kind, tf.int32)),
        decided=tf.cast(tf.logical_not(padding | tf.equal(kind, LAST)), tf.float32),
        state=state,
    )


def to_n_step_transition(windows: Windows, discount: float) -> trajectory.Transition:
    """The n-step transition that starts at the first row of each window, for agents that discount one step themselves.

    With k <= n the number of decisions in the window before the episode's end or row n::

        reward   = sum over i < k of discount^i * (d_0 * ... * d_i-1) * r_i
        discount = discount^(k-1) * d_0 * ... * d_k-1     (the agent multiplies by discount once more)
        next observation = row k: the episode's last one after a truncation, so that it is bootstrapped from

    (Sutton and Barto 2018, section 7.1; truncation is not termination: Pardo et al. 2018.)

    Args:
        windows: ``rows`` = n + 1; the first row is a decision.
        discount: of one decision.
    """
    steps = windows.reward.shape[1] - 1
    alive = tf.math.cumprod(windows.decided[:, :steps], axis=1)
    taken = tf.reduce_sum(alive, axis=1)
    survived = tf.math.cumprod(tf.where(alive > 0, windows.discount[:, :steps], 1.0), axis=1)
    before = tf.concat([tf.ones_like(survived[:, :1]), survived[:, :-1]], axis=1)
    powers = tf.pow(discount, tf.range(steps, dtype=tf.float32))
    reward = tf.reduce_sum(alive * before * powers * windows.reward[:, :steps], axis=1)
    next_discount = tf.pow(discount, taken - 1.0) * survived[:, -1]
    next_observation = tf.gather(windows.observation, tf.cast(taken, tf.int32), axis=1, batch_dims=1)
    batch = tf.shape(reward)
    zeros = tf.zeros(batch)
    now = time_step.TimeStep(tf.ones(batch, tf.int32), zeros, tf.ones(batch), windows.observation[:, 0])
    after = time_step.TimeStep(tf.ones(batch, tf.int32), reward, next_discount, next_observation)
    return trajectory.Transition(now, policy_step.PolicyStep(windows.action[:, 0]), after)
