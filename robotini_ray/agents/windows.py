"""Converts replay windows to the experience on which the agents are trained."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tf_agents.trajectories import policy_step, time_step, trajectory

from robotini_ray.config import ACTION_SIZE
from robotini_ray.replay.table import LAST, PAD, WindowLayout


class Windows(NamedTuple):
    """A batch of replay windows, split into columns.

    Attributes:
        observation: ``<float32>[batch, rows, observation_size]``.
        action: ``<float32>[batch, rows, 2]``, zero where ``decided`` is zero.
        reward: ``<float32>[batch, rows]``, the reward for the row's action.
        discount: ``<float32>[batch, rows]``, 0 after a termination, else 1.
        step_type: ``<int32>[batch, rows]``, TF-Agents' step type; padding counts as MID.
        decided: ``<float32>[batch, rows]``, 1 where an action was taken, 0 at episode ends and in padding.
        state: ``<float32>[batch, state_size]``, the actor's recurrent state before the first row; ``()`` for a feed-forward
            agent.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    step_type: tf.Tensor
    decided: tf.Tensor
    state: tf.Tensor

    def between(self, start: int, stop: int | None) -> Windows:
        """Returns the rows from ``start`` up to ``stop``, as in a slice.

        ``state`` is kept as it is: the state before the first row of the original windows.
        """
        columns = {name: column[:, start:stop] for name, column in self._asdict().items() if name != "state"}
        return self._replace(**columns)


class Returns(NamedTuple):
    """The n-step returns of a batch; a row's action has the estimated value ``reward + factor * value(row + steps)``.

    Attributes:
        reward: ``<float32>[batch, rows]``, the discounted sum of rewards.
        factor: ``<float32>[batch, rows]``, the factor on the bootstrapped value; 0 after a termination.
        steps: ``<int32>[batch, rows]``, the number of decisions summed: n, or fewer before an episode's end.
    """

    reward: tf.Tensor
    factor: tf.Tensor
    steps: tf.Tensor


def unpack(item: dict[str, tf.Tensor], layout: WindowLayout) -> Windows:
    """Splits a batch of replay items into columns (see ``robotini_ray.replay.table`` for the layout of the rows)."""
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
    """Computes the n-step returns of the rows from ``first`` on, without the last ``n_step`` rows.

    Let k <= n be the number of decisions from the row up to the episode's end or row + n. Then::

        reward = sum over i < k of discount^i * (d_0 * ... * d_i-1) * r_i
        factor = discount^k * d_0 * ... * d_k-1
        steps  = k: row + k is the episode's last one after a truncation, so that it is bootstrapped from

    The formulas are those of Sutton and Barto 2018, section 7.1; truncation is not termination (Pardo et al. 2018).
    ``steps`` is 0 for a row in which no action was taken.

    Args:
        windows: ``first`` rows, then the rows whose returns are computed, then ``n_step`` rows.
        discount: Discount factor per decision.
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
    """Returns the n-step transitions of all decisions except those of the last ``n_step`` rows.

    The transitions suit agents that apply the discount of one step themselves. Rows without a decision yield no transition,
    so the length of the resulting batch is the number of decisions.

    Args:
        windows: Trained rows, then ``n_step`` rows.
        n_step: Number of decisions summed.
        discount: Discount factor per decision.
        dealt: Orders the transitions as if dealing cards: a random one from each window, then another from each window, and
            so on, so that neighbours are far apart. By default they are ordered window by window.
    """
    returns = n_step_returns(windows, 0, n_step, discount)
    places = _dealt(returns.steps > 0) if dealt else tf.where(returns.steps > 0)  # <int64>[transitions, (window, row)]
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
    """Deals the places of the true entries: one from each window at a time, in random order within each window.

    Args:
        wanted: ``<bool>[windows, rows]``.

    Returns:
        The places ``<int64>[places, 2]`` as (window, row).
    """
    rows = tf.transpose(tf.argsort(tf.random.uniform(tf.shape(wanted)), axis=1))
    windows = tf.broadcast_to(tf.range(tf.shape(wanted)[0]), tf.shape(rows))
    places = tf.reshape(tf.stack([windows, rows], axis=-1), (-1, 2))
    return tf.cast(tf.boolean_mask(places, tf.gather_nd(wanted, places)), tf.int64)
