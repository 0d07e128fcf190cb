"""Computes histograms of the weights of an agent's networks."""

from __future__ import annotations

from typing import Any

from robotini_ray.run.histogram import Histogram

NETWORKS = {
    "actor": "_actor_network",
    "critic": "_critic_network",  # for DDPG and RDPG
    "critic_1": "_critic_network_1",
    "critic_2": "_critic_network_2",
}
"""TF-Agents' attributes by network; the target networks are left out, because they follow these."""


def weight_histograms(agent: Any) -> dict[str, Histogram]:
    """Returns a histogram of every trainable variable by ``NETWORK/NUMBER_LAYER_KIND``, numbered in the network's order."""
    return {
        f"{network}/{number:02d}_{'_'.join(variable.name.removesuffix(':0').split('/')[-2:])}": Histogram.of(variable.numpy())
        for network, attribute in NETWORKS.items()
        if hasattr(agent, attribute)
        for number, variable in enumerate(getattr(agent, attribute).trainable_variables)
    }
