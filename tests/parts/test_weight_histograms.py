import pytest
import tensorflow as tf

from robotini_ray.agents.factory import make_agent
from robotini_ray.config import AgentConfig, Config
from robotini_ray.parts.weight_histograms import weight_histograms

TWINS = {"actor", "critic_1", "critic_2"}


@pytest.mark.parametrize(
    ("algorithm", "networks"),
    [("ddpg", {"actor", "critic"}), ("rdpg", {"actor", "critic"}), ("td3", TWINS), ("rtd3", TWINS)],
)
def test_every_trained_weight_is_in_one_histogram(algorithm, networks):
    config = Config(agent=AgentConfig(algorithm=algorithm, actor_layers=(6,), critic_layers=(5,), lstm_units=4))
    agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
    found = weight_histograms(agent)
    assert {name.split("/")[0] for name in found} == networks
    assert all(len(name.split("/")) == 2 and name.split("/")[1][:2].isdigit() for name in found)
    actor = [sum(histogram.counts) for name, histogram in found.items() if name.startswith("actor/")]
    assert actor == [int(tf.size(variable)) for variable in agent._actor_network.trainable_variables]
    critics = sum(sum(histogram.counts) for name, histogram in found.items() if not name.startswith("actor/"))
    trained = [getattr(agent, f"_critic_network{end}", None) for end in ("", "_1", "_2")]
    variables = [variable for network in trained if network is not None for variable in network.trainable_variables]
    assert critics == sum(int(tf.size(variable)) for variable in variables)
