import pytest

from robotini_ray.config import ConfigError, load_config
from robotini_ray.run.memory_needed import check_memory, replay_bytes


def test_feed_forward_windows_share_all_rows_but_one():
    config = load_config(None, {"replay.capacity": 1000})
    assert replay_bytes(config) == 1000 * 4 * (4 * 24 + 4 * 2 + 2 + 3)


def test_recurrent_windows_begin_every_half_sequence_and_keep_one_state():
    changes = {"agent.algorithm": "rdpg", "agent.sequence_length": 20, "agent.lstm_units": 8, "replay.capacity": 1000}
    changes |= {"environment.observation_history": 1, "environment.action_history": 0}
    assert replay_bytes(load_config(None, changes)) == 1000 * 4 * (10 * (24 + 2 + 3) + 16)


def test_privileged_numbers_take_memory_too():
    config = load_config(None, {"replay.capacity": 1000, "agent.privileged_critic": True})
    assert replay_bytes(config) == 1000 * 4 * (4 * 24 + 4 * 2 + 10 + 2 + 3)


def test_a_run_that_does_not_fit_is_refused_with_both_figures():
    config = load_config(None, {"replay.capacity": 30_000_000})
    with pytest.raises(ConfigError, match=r"asks for 1\d\.\d GB .*30,000,000.* but 8\.0 GB are free"):
        check_memory(config, 8_000_000_000)


def test_collectors_of_a_cluster_may_be_elsewhere():
    config = load_config(None, {"collection.cars": 64})
    check_memory(config, 8_000_000_000, collectors_here=False)
    with pytest.raises(ConfigError, match="67 processes"):
        check_memory(config, 8_000_000_000)


def test_a_run_that_fits_is_not():
    check_memory(load_config(None, {}), 8_000_000_000)
