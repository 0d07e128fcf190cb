"""From replay windows to what the agents train on."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tf_agents.trajectories import policy_step, time_step, trajectory

from robotini_ray.config import ACTION_SIZE
from robotini_ray.replay.table import LAST, PAD, WindowLayout


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


class Returns(NamedTuple):
    """N-step returns of a batch: the value of a row's action is estimated as ``reward + factor * value(row + steps)``.

    Attributes:
        reward: ``<float32>[batch, rows]``, discounted and summed.
        factor: ``<float32>[batch, rows]``, 0 after a termination.
        steps: ``<int32>[batch, rows]``, decisions summed: n, or fewer before an episode's end.
    """

    reward: tf.Tensor
    factor: tf.Tensor
    steps: tf.Tensor


def unpack(item: dict[str, tf.Tensor], layout: WindowLayout) -> Windows:
    """The columns of a batch of replay items (see ``robotini_ray.replay.table`` for the rows' layout)."""
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


def n_step_returns(windows: Windows, first: int, n_step: int, discount: float) -> Returns:
    """The n-step returns of the rows from ``first`` up to the last ``n_step`` ones.

    With k <= n the number of decisions from the row up to the episode's end or row + n::

        reward = sum over i < k of discount^i * (d_0 * ... * d_i-1) * r_i
        factor = discount^k * d_0 * ... * d_k-1
        steps  = k: row + k is the episode's last one after a truncation, so that it is bootstrapped from

    (Sutton and Barto 2018, section 7.1; truncation is not termination: Pardo et al. 2018.) A row in which nothing was decided
    has steps 0.

    Args:
        windows: ``first`` rows, then those that are asked for, then ``n_step``.
        discount: of one decision.
    """
    rows = windows.reward.shape[1] - first - n_step
    reward, factor, steps, going_on = 0.0, 1.0, 0.0, 1.0
    for ahead in range(first, first + n_step):
        going_on *= windows.decided[:, ahead : ahead + rows]
        reward += going_on * factor * windows.reward[:, ahead : ahead + rows]
        factor *= tf.where(going_on > 0, discount * windows.discount[:, ahead : ahead + rows], 1.0)
        steps += going_on
    return Returns(reward, factor, tf.cast(steps, tf.int32))


def to_n_step_transitions(windows: Windows, n_step: int, discount: float, dealt: bool = False) -> trajectory.Transition:
    """The n-step transitions of all decisions but those of the last ``n_step`` rows.

    They are for agents that discount one step themselves. Rows without a decision have none, so that the batch of the result
    is as long as there are decisions.

    Args:
        windows: trained rows, then ``n_step``.
        n_step: decisions summed.
        discount: of one decision.
        dealt: like cards: a random one of each window, then another of each, and so on, so that neighbours are far apart; else
            window after window.
    """
    returns = n_step_returns(windows, 0, n_step, discount)
    places = _dealt(returns.steps > 0) if dealt else tf.where(returns.steps > 0)  # int64[transitions, (window, row)]
    steps = tf.gather_nd(returns.steps, places)
    next_places = places + tf.cast(tf.stack([tf.zeros_like(steps), steps], axis=1), tf.int64)
    ones = tf.ones_like(steps)
    now = time_step.TimeStep(
        ones, tf.zeros_like(steps, tf.float32), tf.ones_like(steps, tf.float32), tf.gather_nd(windows.observation, places)
    )
    after = time_step.TimeStep(
        ones,
        tf.gather_nd(returns.reward, places),
        tf.gather_nd(returns.factor, places) / discount,
        tf.gather_nd(windows.observation, next_places),
    )
    return trajectory.Transition(now, policy_step.PolicyStep(tf.gather_nd(windows.action, places)), after)


def _dealt(wanted: tf.Tensor) -> tf.Tensor:
    """The places ``<int64>[places, (window, row)]`` of the true ones of ``<bool>[windows, rows]``, dealt window by window."""
    rows = tf.transpose(tf.argsort(tf.random.uniform(tf.shape(wanted)), axis=1))
    windows = tf.broadcast_to(tf.range(tf.shape(wanted)[0]), tf.shape(rows))
    places = tf.reshape(tf.stack([windows, rows], axis=-1), (-1, 2))
    return tf.cast(tf.boolean_mask(places, tf.gather_nd(wanted, places)), tf.int64)
