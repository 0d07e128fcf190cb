"""Replay: the Reverb table between collectors and learner, its writer and its reader.

The table keeps windows of consecutive decisions of one car. The rows of a window are packed into one float column:

    row t = [observation_t | action_t | reward_t+1 | discount_t+1 | kind_t]

``observation`` is what the critic sees: the actor's observation, perhaps with privileged numbers behind it. ``kind`` is
TF-Agents' step type of the observation (FIRST 0, MID 1, LAST 2) or PAD -1. A LAST row carries an observation only; no action
was taken there. A crash that ended the episode has discount 0 in the row before it, a time limit 1.

Which windows are written for feed-forward agents (an episode of 10 decisions, d, and its LAST row, L; n_step 2; _ is
padding)::

    d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 L  _  _  _  _  _  _  _
    [0  1  2  3  4  5  6  7  .  .]
                            [8  9  .  _  _  _  _  _  _  _]     every decision is a trained row of one window

Each trained row is an item: what a batch is made of, and what capacity, limiter and reports count. One window holds
``WINDOW_DECISIONS`` of them, because Reverb's costs are those of a window, whatever is in it; places of items that padding
takes at an episode's end are counted, though nothing is trained there.

Recurrent windows have ``burn_in`` rows in front, then ``sequence_length`` trained rows and ``n_step`` to sum up and bootstrap
from; they start every ``sequence_length // 2`` rows, an episode is padded by ``burn_in`` rows in front, and the actor's
recurrent state at the window's first row is stored once for the window. There a window is one item.
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
"""Trained rows in a window of a feed-forward agent. More would save little: a window of 8 costs a tenth of 8 windows."""

CHUNK_ROWS = 4
"""Least rows compressed together."""

MOST_PENDING_WINDOWS = 200
"""Windows of a car that may wait for a server that does not answer, about a megabyte; later ones are dropped."""

CHECK_WINDOWS = 50
"""Windows between two looks at how many wait."""

CHECK_INTERVAL_S = 0.25
"""Wall time between two looks while too many wait."""

BATCH_TIMEOUT_MS = 10_000
"""Longest time that a batch may wait for the limiter before the dataset ends."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WindowLayout:
    """The shape of one window, from the config."""

    observation_size: int
    state_size: int
    burn_in: int
    trained: int
    bootstrap: int
    stride: int
    items: int
    """Items in one window."""

    @classmethod
    def from_config(cls, config: Config) -> WindowLayout:
        """Feed-forward agents train on every row of an episode once, recurrent ones twice."""
        agent, size = config.agent, config.critic_observation_size
        if not agent.recurrent:
            return cls(size, 0, 0, WINDOW_DECISIONS, agent.n_step, WINDOW_DECISIONS, WINDOW_DECISIONS)
        stride = max(1, agent.sequence_length // 2)
        return cls(size, 2 * agent.lstm_units, agent.burn_in, agent.sequence_length, agent.n_step, stride, 1)

    @property
    def rows(self) -> int:
        """Rows of one window."""
        return self.burn_in + self.trained + self.bootstrap

    @property
    def row_size(self) -> int:
        """Floats of one row."""
        return self.observation_size + ACTION_SIZE + 3

    def windows(self, items: int) -> int:
        """Windows that hold so many items."""
        return -(-items // self.items)

    def signature(self) -> dict[str, tf.TensorSpec]:
        """The table's signature, time dimension included."""
        columns = {"rows": tf.TensorSpec((self.rows, self.row_size), tf.float32)}
        if self.state_size:
            columns["state"] = tf.TensorSpec((1, self.state_size), tf.float32)
        return columns


class WindowWriter:
    """Writes the decisions of one car into replay; see the module's docstring for what becomes a window.

    Nothing here waits for the server but ``flush``. ``items`` counts the items of the windows written, ``dropped`` those of
    windows that were not because too many waited for the server.
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
        if layout.state_size:  # chunks of one: only the states that a window refers to are sent
            self._writer.configure(("state",), num_keep_alive_refs=layout.rows, max_chunk_length=1)

    def begin_episode(self) -> None:
        """Starts a new episode; the burn-in rows in front of it are padding. Rows without a window yet are forgotten."""
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
        """One decision and what came of it; ``state`` is the actor's recurrent state before it."""
        size = self._layout.observation_size
        row = self._row
        row[:size] = observation
        row[size : size + ACTION_SIZE] = action
        row[-3:] = reward, discount, FIRST if first else MID
        self._append(row, state)

    def end_episode(self, observation: NDArray[np.float32]) -> None:
        """The episode's last observation; windows that reach over the end are padded."""
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
            reverb.errors.DeadlineExceededError: it had not within the time.
        """
        self._writer.flush(timeout_ms=timeout_ms)

    def close(self) -> None:
        """Ends the stream to the server."""
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
        """Whether few enough windows wait for the server; asked now and then only."""
        self._unchecked += 1
        if self._full_until is None and self._unchecked < CHECK_WINDOWS:
            return True
        if self._full_until is not None and time.monotonic() < self._full_until:
            return False
        try:
            self._writer.flush(block_until_num_items=MOST_PENDING_WINDOWS - CHECK_WINDOWS, timeout_ms=1)
        except reverb.errors.DeadlineExceededError:
            if self._full_until is None:
                _log.warning("replay does not take what the car sends: from now on its windows are dropped")
            self._full_until = time.monotonic() + CHECK_INTERVAL_S
            return False
        if self._full_until is not None:
            _log.warning("replay takes windows again; %d items have been dropped so far", self.dropped)
        self._full_until, self._unchecked = None, 0
        return True

    def _last_trained_row(self) -> int:
        """Index of the last row of the episode that is trained in a window written so far, -1 if there is none."""
        layout = self._layout
        if self._count < layout.rows:
            return -1
        windows = (self._count - layout.rows) // layout.stride
        return windows * layout.stride + layout.burn_in + layout.trained - 1


def window_dataset(address: str, config: Config) -> tf.data.Dataset:
    """Batches of windows, ``{"rows": <float32>[batch, rows, row_size], "state": <float32>[batch, 1, state_size]}``.

    They end when the limiter has let nothing through for a while. While the server is gone they wait for it to come back.
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
    # Batched first: a map over single items costs more than the train step. A thread of its own lets sampling go on meanwhile.
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    return dataset.batch(batch, drop_remainder=True).map(lambda sample: sample.data).with_options(options)


def replay_state(client: reverb.Client, layout: WindowLayout, timeout_s: int = 10) -> ReplayState:
    """Asks the server; the numbers of its windows become those of their items."""
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
