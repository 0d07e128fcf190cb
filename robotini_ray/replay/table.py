"""Defines the Reverb table of replay between collectors and learner, its writer and its reader.

The table holds windows of consecutive decisions of one car. The rows of a window are packed into one float column:

    row t = [observation_t | action_t | reward_t+1 | discount_t+1 | kind_t]

``observation`` is the critic's observation: the actor's, followed by privileged numbers if the config asks for them. ``kind``
is TF-Agents' step type of the observation (FIRST 0, MID 1, LAST 2) or PAD -1. A LAST row has only an observation; no action
was taken there. If a crash ended the episode, the discount in the row before is 0; if a time limit did, it is 1.

The following windows are written for feed-forward agents (an episode of 10 decisions, ``d``, and its LAST row, ``L``;
``n_step`` 2; ``_`` is padding)::

    d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 L  _  _  _  _  _  _  _
    [0  1  2  3  4  5  6  7  .  .]
                            [8  9  .  _  _  _  _  _  _  _]     every decision is a trained row of one window

Each trained row is an item: batches consist of items, and capacity, limiter and reports count items. A window holds
``WINDOW_DECISIONS`` items, because Reverb's costs are per window, whatever its size. Items that are only padding, at an
episode's end, are counted too, though nothing is trained on them.

Windows of recurrent agents begin with ``burn_in`` rows; ``sequence_length`` trained rows follow, and ``n_step`` rows for the
n-step return and its bootstrap. A window starts every ``sequence_length // 2`` rows, an episode is padded by ``burn_in`` rows
in front, and the actor's recurrent state at the window's first row is stored once per window. Such a window is one item.
"""

from __future__ import annotations

import dataclasses
import logging
import time

import numpy as np
import reverb
import tensorflow as tf
from numpy.typing import NDArray

from robotini_ray.config import ACTION_SIZE, Config
from robotini_ray.run.reports import ReplayState

TABLE = "windows"

FIRST, MID, LAST, PAD = 0.0, 1.0, 2.0, -1.0

WINDOW_DECISIONS = 8
"""Trained rows in a window of a feed-forward agent.

More would save little: a window of 8 already costs only a tenth of 8 windows of 1.
"""

CHUNK_ROWS = 4
"""Least number of rows that are compressed together."""

MOST_PENDING_WINDOWS = 200
"""Windows of a car, about a megabyte, that may wait for a server that does not answer; later ones are dropped."""

CHECK_WINDOWS = 50
"""Number of windows written between two checks of how many wait."""

CHECK_INTERVAL_S = 0.25
"""Wall time between two checks while too many windows wait."""

BATCH_TIMEOUT_MS = 10_000
"""Longest time that a batch waits for the limiter before the dataset ends."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WindowLayout:
    """The shape of a window.

    Attributes:
        observation_size: Floats of the critic's observation.
        state_size: Floats of the actor's recurrent state; 0 for feed-forward agents.
        burn_in: Rows at the window's beginning that only warm up the recurrent state.
        trained: Rows that are trained on.
        bootstrap: Rows behind them for the n-step return.
        stride: Rows from the start of a window to the start of the next.
        items: Items in a window.
    """

    observation_size: int
    state_size: int
    burn_in: int
    trained: int
    bootstrap: int
    stride: int
    items: int

    @classmethod
    def from_config(cls, config: Config) -> WindowLayout:
        """Returns the layout for the config's agent.

        The windows of feed-forward agents contain every decision of an episode as a trained row once, those of recurrent
        agents twice.
        """
        agent, size = config.agent, config.critic_observation_size
        if not agent.recurrent:
            return cls(size, 0, 0, WINDOW_DECISIONS, agent.n_step, WINDOW_DECISIONS, WINDOW_DECISIONS)
        stride = max(1, agent.sequence_length // 2)
        return cls(size, 2 * agent.lstm_units, agent.burn_in, agent.sequence_length, agent.n_step, stride, 1)

    @property
    def rows(self) -> int:
        """Number of rows of a window."""
        return self.burn_in + self.trained + self.bootstrap

    @property
    def row_size(self) -> int:
        """Number of floats of a row."""
        return self.observation_size + ACTION_SIZE + 3

    def windows(self, items: int) -> int:
        """Returns the number of windows that ``items`` items take, rounded up."""
        return -(-items // self.items)

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Returns the table's signature, time dimension included."""
        columns = {"rows": tf.TensorSpec((self.rows, self.row_size), tf.float32)}
        if self.state_size:
            columns["state"] = tf.TensorSpec((1, self.state_size), tf.float32)
        return columns


class WindowWriter:
    """Writes the decisions of one car into replay, as the windows that the module's docstring describes.

    Only ``flush`` waits for the server.

    Attributes:
        items: Number of items in the windows written.
        dropped: Number of items in windows that were dropped because too many waited for the server.

    Args:
        client: A client of the Reverb server.
        layout: The shape of the windows.
    """

    def __init__(self, client: reverb.Client, layout: WindowLayout) -> None:
        self._layout = layout
        self._row = np.zeros(layout.row_size, np.float32)
        self._pad = np.zeros(layout.row_size, np.float32)
        self._pad[-1] = PAD
        self._count = 0
        self.items = 0
        self.dropped = 0
        self._unchecked = 0
        self._full_until: float | None = None
        self._writer = client.trajectory_writer(num_keep_alive_refs=layout.rows)
        chunk_rows = min(max(layout.stride, CHUNK_ROWS), layout.rows)  # Reverb chunks no more than it keeps alive
        self._writer.configure(("rows",), num_keep_alive_refs=layout.rows, max_chunk_length=chunk_rows)
        if layout.state_size:  # chunks of one row, so that only the states to which a window refers are sent
            self._writer.configure(("state",), num_keep_alive_refs=layout.rows, max_chunk_length=1)

    def begin_episode(self) -> None:
        """Starts a new episode, with the burn-in rows in front as padding; rows that are in no window yet are discarded."""
        self._count = 0
        zeros = np.zeros(self._layout.state_size, np.float32)
        for _ in range(self._layout.burn_in):
            self._append(self._pad, zeros)

    def add(
        self,
        observation: NDArray[np.float32],
        action: NDArray[np.float32],
        reward: float,
        discount: float,
        first: bool,
        state: NDArray[np.float32],
    ) -> None:
        """Adds one decision and its outcome.

        Args:
            observation: The critic's observation before the decision, ``<float32>[observation_size]``.
            action: The action, ``<float32>[ACTION_SIZE]``.
            reward: The reward after the decision.
            discount: The discount after the decision; 0 if a crash ended the episode, else see the module's docstring.
            first: Whether this is the episode's first decision.
            state: The actor's recurrent state before the decision, ``<float32>[state_size]``.
        """
        size = self._layout.observation_size
        row = self._row
        row[:size] = observation
        row[size : size + ACTION_SIZE] = action
        row[-3:] = reward, discount, FIRST if first else MID
        self._append(row, state)

    def end_episode(self, observation: NDArray[np.float32]) -> None:
        """Ends the episode with its last observation; windows that reach beyond the end are padded.

        Args:
            observation: The critic's observation, ``<float32>[observation_size]``.
        """
        last_decision = self._count - 1
        if last_decision < self._layout.burn_in:
            return  # no decision was taken: nothing to train on
        row = self._row
        row[:] = 0.0
        row[: self._layout.observation_size] = observation
        row[-1] = LAST
        zeros = np.zeros(self._layout.state_size, np.float32)
        self._append(row, zeros)
        while self._last_trained_row() < last_decision:
            self._append(self._pad, zeros)

    def flush(self, timeout_ms: int) -> None:
        """Waits until the server has all items.

        Raises:
            reverb.errors.DeadlineExceededError: The server did not have them within ``timeout_ms``.
        """
        self._writer.flush(timeout_ms=timeout_ms)

    def close(self) -> None:
        """Closes the stream to the server."""
        self._writer.close()

    def _append(self, row: NDArray[np.float32], state: NDArray[np.float32]) -> None:
        layout = self._layout
        columns: dict[str, NDArray[np.float32]] = {"rows": row}
        if layout.state_size:
            columns["state"] = state
        self._writer.append(columns)
        self._count += 1
        if self._count >= layout.rows and (self._count - layout.rows) % layout.stride == 0:
            if not self._has_room():
                self.dropped += layout.items
                return
            history = self._writer.history
            item = {"rows": history["rows"][-layout.rows :]}
            if layout.state_size:
                item["state"] = history["state"][-layout.rows : 1 - layout.rows]
            self._writer.create_item(TABLE, priority=1.0, trajectory=item)
            self.items += layout.items

    def _has_room(self) -> bool:
        """Returns whether few enough windows wait for the server; to save time, it checks only now and then."""
        self._unchecked += 1
        if self._full_until is None and self._unchecked < CHECK_WINDOWS:
            return True
        if self._full_until is not None and time.monotonic() < self._full_until:
            return False
        try:
            self._writer.flush(block_until_num_items=MOST_PENDING_WINDOWS - CHECK_WINDOWS, timeout_ms=1)
        except reverb.errors.DeadlineExceededError:
            if self._full_until is None:
                _log.warning("replay does not accept the car's windows fast enough: from now on they are dropped")
            self._full_until = time.monotonic() + CHECK_INTERVAL_S
            return False
        if self._full_until is not None:
            _log.warning("replay accepts the car's windows again; %d items have been dropped so far", self.dropped)
        self._full_until, self._unchecked = None, 0
        return True

    def _last_trained_row(self) -> int:
        """Returns the index of the episode's last row that is a trained row of a window written so far; -1 if there is none."""
        layout = self._layout
        if self._count < layout.rows:
            return -1
        windows = (self._count - layout.rows) // layout.stride
        return windows * layout.stride + layout.burn_in + layout.trained - 1


def window_dataset(address: str, config: Config) -> tf.data.Dataset:
    """Returns batches of windows.

    A batch is ``{"rows": <float32>[batch, rows, row_size], "state": <float32>[batch, 1, state_size]}``; only recurrent agents
    have ``state``. The dataset ends when the limiter has let nothing through for ``BATCH_TIMEOUT_MS``. While the server is
    down, it waits for the server to come back.

    Args:
        address: ``HOST:PORT`` of the Reverb server.
        config: The config of the run.
    """
    batch = config.agent.batch_size
    dataset = reverb.TrajectoryDataset.from_table_signature(
        server_address=address,
        table=TABLE,
        max_in_flight_samples_per_worker=2 * batch,
        num_workers_per_iterator=1,
        get_signature_timeout_secs=30,
        rate_limiter_timeout_ms=BATCH_TIMEOUT_MS,
    )
    # Batching comes first, because a map over single items costs more than the train step. A thread pool of its own lets
    # sampling go on meanwhile.
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    return dataset.batch(batch, drop_remainder=True).map(lambda sample: sample.data).with_options(options)


def replay_state(client: reverb.Client, layout: WindowLayout, timeout_s: int = 10) -> ReplayState:
    """Asks the server for the state of its table; numbers of windows are converted to numbers of items.

    Args:
        client: A client of the Reverb server.
        layout: The shape of the windows.
        timeout_s: Longest wait for the answer.

    Raises:
        reverb.errors.ReverbError: The server does not answer in time.
        RuntimeError: The server cannot be reached.
    """
    info = client.server_info(timeout=timeout_s)[TABLE]
    limiter = info.rate_limiter_info
    return ReplayState(
        items=layout.items * info.current_size,
        inserted=layout.items * limiter.insert_stats.completed,
        sampled=layout.items * limiter.sample_stats.completed,
        capacity=layout.items * info.max_size,
        min_items=layout.items * limiter.min_size_to_sample,
        samples_per_item=limiter.samples_per_insert,
    )
