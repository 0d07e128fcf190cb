"""Estimates the memory that a run needs and checks, before anything is started, that the machine has it."""

from __future__ import annotations

from robotini_ray.config import ACTION_SIZE, Config, ConfigError

PROCESS_BYTES = 550_000_000
"""Memory of a process with TensorFlow and Reverb, measured."""

BASE_BYTES = 1_000_000_000
"""Memory of Ray's own processes, Redis and the embedded simulators."""

FLOAT_BYTES = 4
ROW_EXTRAS = 3  # reward, discount and kind of a replay row


def replay_bytes(config: Config) -> int:
    """Returns the memory in bytes of a full replay before compression; a row that several windows share counts once."""
    row = config.critic_observation_size + ACTION_SIZE + ROW_EXTRAS
    agent = config.agent
    new_rows, state = (agent.sequence_length // 2, 2 * agent.lstm_units) if agent.recurrent else (1, 0)
    return config.replay.capacity * FLOAT_BYTES * (max(1, new_rows) * row + state)


def check_memory(config: Config, available_bytes: int, collectors_here: bool = True) -> None:
    """Refuses a run that needs more memory than is available.

    Args:
        config: The config of the run.
        available_bytes: Memory of this machine that is available, in bytes.
        collectors_here: Whether the collectors count; in a cluster they may run on other machines.

    Raises:
        ConfigError: The run needs more memory than is available; the message names both figures.
    """
    collectors = config.collection.collectors if collectors_here else 0
    processes = collectors + 3  # learner, evaluator, replay
    replay = replay_bytes(config)
    asked = replay + processes * PROCESS_BYTES + BASE_BYTES
    if asked > available_bytes:
        raise ConfigError(
            f"this run asks for {asked / 1e9:.1f} GB of memory (replay {replay / 1e9:.1f} GB for replay.capacity "
            f"{config.replay.capacity:,}, {processes} processes of {PROCESS_BYTES / 1e9:.2f} GB), "
            f"but {available_bytes / 1e9:.1f} GB are free: lower replay.capacity or collection.cars, "
            "raise collection.cars_per_collector, take a larger machine, or raise the container's memory limit"
        )
