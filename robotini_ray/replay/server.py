"""Starts the Reverb server, empty or from a checkpoint that is checked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import portpicker
import reverb

from robotini_ray.config import Config, ConfigError
from robotini_ray.replay.table import TABLE, WindowLayout
from robotini_ray.run.checkpoints import CheckpointStore
from robotini_ray.run.reports import ReplayReport

ANSWER_TIMEOUT_S = 120
"""Only a server that hangs takes so long to answer, however busy the machine is; it is in this process."""


def make_server(config: Config, port: int, checkpoint_dir: Path) -> reverb.Server:
    """Returns a running Reverb server with the table, restored from the newest checkpoint in ``checkpoint_dir``, if any.

    The rate limiter blocks only the learner (an item is trained on at most ``samples_per_item`` times on average); it never
    blocks a car.

    Args:
        config: The config of the run.
        port: The port to listen on.
        checkpoint_dir: Directory of Reverb's own checkpoints.
    """
    replay, layout = config.replay, WindowLayout.from_config(config)
    limiter = reverb.rate_limiters.RateLimiter(
        samples_per_insert=replay.samples_per_item,
        min_size_to_sample=layout.windows(replay.min_items),
        min_diff=0.0,  # inserts * samples_per_item - samples: below this the learner waits
        max_diff=1e15,  # above this a writer would wait: never
    )
    table = reverb.Table(
        name=TABLE,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        max_size=layout.windows(replay.capacity),
        rate_limiter=limiter,
        signature=layout.signature(),
    )
    checkpointer = reverb.checkpointers.DefaultCheckpointer(str(checkpoint_dir))
    return reverb.Server([table], port=port, checkpointer=checkpointer)


class ReplayServer:
    """The Reverb server as a part of the program.

    It starts with the replay of the newest checkpoint that has a readable one, or else empty. A replay that is incomplete or
    corrupt is renamed, so that it is not tried again.

    Args:
        config: The config of the run.
        run_dir: The run directory; the replay is restored from its checkpoints.
        host: The host name or address at which the other parts reach the server.
        port: The port to listen on; None takes a free one. A server that is started again must get its old port, which the
            other parts keep using.

    Raises:
        ConfigError: The replay of a checkpoint was made with another size, limiter or shape.
    """

    def __init__(self, config: Config, run_dir: Path, host: str = "127.0.0.1", port: int | None = None) -> None:
        self._config = config
        self._host = host
        self._port = port or portpicker.pick_unused_port()
        self._warnings: list[str] = []
        self._server = self._restored(CheckpointStore(run_dir / "checkpoints"))

    def report(self) -> ReplayReport:
        """Returns the server's address and the warnings about checkpoints."""
        return ReplayReport(f"{self._host}:{self._port}", self._warnings)

    def stop(self) -> None:
        """Stops the server."""
        self._server.stop()

    def _restored(self, store: CheckpointStore) -> reverb.Server:
        for checkpoint in store.with_replay():
            problem = "it is incomplete"
            if checkpoint.replay_is_complete():
                store.offer_replay(checkpoint)
                try:
                    server = make_server(self._config, self._port, store.replay_dir)
                except (RuntimeError, ValueError) as error:
                    problem = " ".join(str(error).split())
                else:
                    check_restored(server, self._config, checkpoint.directory)
                    windows = server.localhost_client().server_info(ANSWER_TIMEOUT_S)[TABLE].current_size
                    if windows >= checkpoint.least_windows:
                        return server
                    server.stop()
                    problem = f"of at least {checkpoint.least_windows} windows only {windows} could be restored"
            aside = checkpoint.set_replay_aside()
            self._warnings.append(f"the replay of {checkpoint.directory} cannot be used and is now {aside.name}: {problem}")
        if self._warnings:
            self._warnings.append("no checkpoint has a readable replay: replay starts empty")
        store.offer_replay(None)
        return make_server(self._config, self._port, store.replay_dir)


def check_restored(server: reverb.Server, config: Config, checkpoint: Path) -> None:
    """Refuses a restored table that does not match the config; Reverb itself restores it without an error.

    Args:
        server: The server with the restored table.
        config: The config of the run.
        checkpoint: Path of the checkpoint, for the message.

    Raises:
        ConfigError: The capacity, the limiter or a shape differs; the message names both values.
    """
    layout = WindowLayout.from_config(config)
    info = server.localhost_client().server_info(ANSWER_TIMEOUT_S)[TABLE]
    limiter = info.rate_limiter_info
    found: dict[str, tuple[Any, Any]] = {
        "replay.capacity": (layout.windows(config.replay.capacity), info.max_size),
        "replay.min_items": (layout.windows(config.replay.min_items), limiter.min_size_to_sample),
        "replay.samples_per_item": (config.replay.samples_per_item, limiter.samples_per_insert),
    }
    for name, spec in layout.signature().items():
        restored = info.signature.get(name)
        found[f"the shape of {name}"] = (tuple(spec.shape), None if restored is None else tuple(restored.shape))
    for key, (asked, restored) in found.items():
        if asked != restored:
            unit = " (in windows)" if key in ("replay.capacity", "replay.min_items") and layout.items > 1 else ""
            raise ConfigError(
                f"{key}{unit} is {asked}, but the replay in {checkpoint} was made with {restored}; --fresh moves that run aside"
            )
